package frontier

import (
	"encoding/xml"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var some = []Point{
	{Label: "day-1", Share: 67, Failed: 39},
	{Label: "day-25", Share: 77.7, Failed: 21.6},
	{Label: "ladder", Share: 95.2, Failed: 118},
	{Label: "kasi", Share: 99.4, Failed: 4.8, Ours: true},
	{Label: "oracle", Share: 100, Bound: true},
}

func TestTheBestAreBeatenByNobody(t *testing.T) {
	require.Equal(t, []Point{{Label: "a", Share: 90, Failed: 1}, {Label: "c", Share: 95, Failed: 3}}, Best([]Point{
		{Label: "d", Share: 94, Failed: 7},
		{Label: "c", Share: 95, Failed: 3},
		{Label: "b", Share: 90, Failed: 2},
		{Label: "a", Share: 90, Failed: 1},
		{Label: "e", Share: 80, Failed: 1},
		{Label: "bound", Share: 100, Bound: true},
	}))
	require.Empty(t, Best(nil))
}

func TestAPictureNamesEveryStrategy(t *testing.T) {
	dir := t.TempDir()
	svg, bitmap := filepath.Join(dir, "f.svg"), filepath.Join(dir, "f.png")
	require.NoError(t, Draw(svg, "world month", some))
	text, err := os.ReadFile(svg)
	require.NoError(t, err)
	for _, p := range some {
		require.Contains(t, string(text), ">"+p.Label+"</text>")
	}
	d := xml.NewDecoder(strings.NewReader(string(text)))
	for err == nil {
		_, err = d.Token()
	}
	require.ErrorIs(t, err, io.EOF, "well-formed XML")

	require.NoError(t, Draw(bitmap, "world month", some))
	f, err := os.Open(bitmap)
	require.NoError(t, err)
	defer f.Close()
	_, err = png.Decode(f)
	require.NoError(t, err)
}

func TestAPictureHasAKnownEnding(t *testing.T) {
	require.ErrorContains(t, Draw("frontier.gif", "", some), `"frontier.gif"`)
	require.NoError(t, CheckName("A.PNG"))
}
