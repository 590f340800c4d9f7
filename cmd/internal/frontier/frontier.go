// Package frontier draws what a backtest came to as one picture: for each strategy the money that it collects against
// the debits that fail for it. The best are at the upper left.
package frontier

import (
	"cmp"
	"fmt"
	"image/color"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Point is one strategy.
type Point struct {
	Label  string
	Share  float64 // of the oracle's money, in percent
	Failed float64 // presentments per 100 policy-months
	Ours   bool    // a strategy of the product: drawn darker
	Bound  bool    // nobody can be better: no part of the line through the best
}

// CheckName tells whether a file's name ends as a picture's that can be drawn does.
func CheckName(file string) error {
	if ext := strings.ToLower(filepath.Ext(file)); ext != ".svg" && ext != ".png" {
		return fmt.Errorf("%q is the name of no picture; expected one that ends in .svg or .png", file)
	}
	return nil
}

// Draw writes the picture of the points. The file's name says whether it is SVG or PNG.
func Draw(file, title string, points []Point) error {
	if err := CheckName(file); err != nil {
		return err
	}
	p := plot.New()
	p.Title.Text, p.Title.TextStyle.Font.Size = title, font.Points(13)
	p.X.Label.Text, p.Y.Label.Text = "failed presentments per 100 policy-months", "collected by month end, % of the oracle"
	most, least := 1.0, 99.0
	for _, x := range points {
		most, least = max(most, x.Failed), min(least, x.Share)
	}
	// What matters lies close to 0 failures and to 100 %: both scales are stretched there.
	p.X.Min, p.X.Max, p.X.Scale = 0, most*1.3, scale(func(x float64) float64 { return math.Log1p(x) })
	p.Y.Min, p.Y.Max, p.Y.Scale = least-1, 100, scale(func(y float64) float64 { return -math.Log(101 - y) })
	p.X.Tick.Marker = ticks{0, 1, 2, 5, 10, 20, 50, 100, 200, 500}
	p.Y.Tick.Marker = ticks{0, 20, 40, 50, 60, 70, 80, 85, 90, 93, 95, 97, 98, 99, 100}
	p.Add(cloud(points))
	if err := p.Save(24*vg.Centimeter, 15*vg.Centimeter, file); err != nil {
		return fmt.Errorf("draw the frontier: %w", err)
	}
	return nil
}

// scale is an axis that a growing function stretches.
type scale func(float64) float64

// Normalize implements plot.Normalizer.
func (s scale) Normalize(least, most, x float64) float64 {
	return (s(x) - s(least)) / (s(most) - s(least))
}

// ticks are the marks of an axis.
type ticks []float64

// Ticks implements plot.Ticker.
func (t ticks) Ticks(least, most float64) (all []plot.Tick) {
	for _, x := range t {
		if least <= x && x <= most {
			all = append(all, plot.Tick{Value: x, Label: fmt.Sprint(x)})
		}
	}
	return all
}

// Best are the points but the bound that no other beats in both money and failures, from the fewest failures on.
func Best(points []Point) []Point {
	sorted := slices.SortedStableFunc(slices.Values(points), func(a, b Point) int {
		return cmp.Or(cmp.Compare(a.Failed, b.Failed), cmp.Compare(b.Share, a.Share))
	})
	var best []Point
	for _, x := range sorted {
		if x.Bound {
			continue
		}
		if len(best) == 0 || x.Share > best[len(best)-1].Share {
			best = append(best, x)
		}
	}
	return best
}

// cloud draws the points, their labels, and the line through the best of them.
type cloud []Point

var (
	dark  = color.RGBA{R: 0x0b, G: 0x5c, B: 0x8a, A: 0xff}
	light = color.RGBA{R: 0x90, G: 0x90, B: 0x90, A: 0xff}
)

// Plot implements plot.Plotter.
func (c cloud) Plot(canvas draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&canvas)
	at := func(q Point) vg.Point { return vg.Point{X: x(q.Failed), Y: y(q.Share)} }
	var line []vg.Point
	for _, q := range Best(c) {
		line = append(line, at(q))
	}
	canvas.StrokeLines(draw.LineStyle{Color: dark, Width: vg.Points(0.7)}, line)

	radius := vg.Points(3.5)
	var taken []vg.Rectangle
	for _, q := range c {
		taken = append(taken, around(at(q), radius, radius))
	}
	text := p.X.Tick.Label
	text.Font.Size, text.XAlign, text.YAlign = font.Points(9), draw.XLeft, draw.YCenter
	for _, q := range c {
		text.Color = light
		if q.Ours {
			text.Color = dark
		}
		canvas.DrawGlyph(draw.GlyphStyle{Color: text.Color, Radius: radius, Shape: draw.CircleGlyph{}}, at(q))
		text.Color = color.Black
		place := free(at(q), text.Width(q.Label), font.Points(10), canvas.Rectangle, taken)
		taken = append(taken, place)
		middle := (place.Min.Y + place.Max.Y) / 2
		if p := at(q); max(middle-p.Y, p.Y-middle) > font.Points(7) { // further away: say whose it is
			near := place.Min.X
			if p.X > place.Max.X {
				near = place.Max.X
			}
			canvas.StrokeLine2(draw.LineStyle{Color: light, Width: vg.Points(0.4)}, p.X, p.Y, near, middle)
		}
		canvas.FillText(text, vg.Point{X: place.Min.X, Y: middle}, q.Label)
	}
}

func around(p vg.Point, width, height vg.Length) vg.Rectangle {
	return vg.Rectangle{
		Min: vg.Point{X: p.X - width, Y: p.Y - height}, Max: vg.Point{X: p.X + width, Y: p.Y + height},
	}
}

// free is the nearest place beside a point where a label meets nothing that was drawn and stays within the picture; the
// one to its right where there is none.
func free(p vg.Point, width, height vg.Length, within vg.Rectangle, taken []vg.Rectangle) vg.Rectangle {
	gap := vg.Points(6)
	beside := func(right bool, up vg.Length) vg.Rectangle {
		left := p.X + gap
		if !right {
			left = p.X - gap - width
		}
		return vg.Rectangle{
			Min: vg.Point{X: left, Y: p.Y + up - height/2}, Max: vg.Point{X: left + width, Y: p.Y + up + height/2},
		}
	}
	for step := range 12 {
		for _, up := range []vg.Length{height / 2 * vg.Length(step), -height / 2 * vg.Length(step)} {
			for _, right := range []bool{true, false} {
				r := beside(right, up)
				inside := r.Min.X >= within.Min.X && r.Max.X <= within.Max.X && r.Min.Y >= within.Min.Y && r.Max.Y <= within.Max.Y
				if inside && !slices.ContainsFunc(taken, func(o vg.Rectangle) bool { return meets(r, o) }) {
					return r
				}
			}
		}
	}
	return beside(true, 0)
}

func meets(a, b vg.Rectangle) bool {
	return a.Min.X < b.Max.X && b.Min.X < a.Max.X && a.Min.Y < b.Max.Y && b.Min.Y < a.Max.Y
}
