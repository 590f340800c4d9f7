// Package docs shows the API's reference at /docs: openapi.yaml as a page, where each call can be tried with a click.
// It needs no key and knows no data.
package docs

import (
	"bytes"
	"cmp"
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
)

//go:embed docs.html docs.js docs.css
var files embed.FS

// New makes the handler of /docs, /docs/docs.js and /docs/docs.css from an OpenAPI document.
func New(spec []byte) (http.Handler, error) {
	doc, err := openapi3.NewLoader().LoadFromData(spec)
	if err != nil {
		return nil, fmt.Errorf("docs: %w", err)
	}
	if err := doc.Validate(context.Background()); err != nil {
		return nil, fmt.Errorf("docs: %w", err)
	}
	t, err := template.New("docs.html").Funcs(template.FuncMap{"markdown": markdown}).ParseFS(files, "docs.html")
	if err != nil {
		return nil, fmt.Errorf("docs: %w", err)
	}
	var page bytes.Buffer
	if err := t.Execute(&page, reference(doc)); err != nil {
		return nil, fmt.Errorf("docs: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /docs", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "+
			"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		_, _ = w.Write(page.Bytes())
	})
	mux.Handle("GET /docs/", http.StripPrefix("/docs/", http.FileServerFS(files)))
	return mux, nil
}

// page is the reference as the template takes it.
type page struct {
	Title, Description string
	Groups             []group
	Schemas            []schema
}

type group struct {
	Name, About string
	Calls       []call
}

type call struct {
	ID, Method, Path, Summary, Description string
	Params                                 []param
	Body                                   *body
	Answers                                []answer
	Key                                    bool // needs a key
}

type param struct {
	Name, In, About, Example string
	Required                 bool
}

// body is what a call takes. Example is JSON text; File says that it takes a file.
type body struct {
	Type, Schema, Example string
	File                  bool
}

type answer struct{ Status, About, Schema string }

type schema struct {
	Name, About string
	Fields      []field
}

type field struct {
	Name, Type, About string
	Required          bool
}

// methods are in the order in which a page shows them.
var methods = []string{
	http.MethodPost, http.MethodGet, http.MethodPatch, http.MethodPut, http.MethodDelete,
}

func reference(doc *openapi3.T) page {
	p := page{Title: doc.Info.Title, Description: doc.Info.Description}
	calls := map[string][]call{}
	for _, path := range doc.Paths.InMatchingOrder() {
		item := doc.Paths.Value(path)
		prefix := doc.Servers[0].URL
		if len(item.Servers) > 0 {
			prefix = strings.TrimSuffix(item.Servers[0].URL, "/")
		}
		for _, method := range methods {
			if op := item.GetOperation(method); op != nil {
				tag := "other"
				if len(op.Tags) > 0 {
					tag = op.Tags[0]
				}
				calls[tag] = append(calls[tag], callOf(prefix+path, method, item, op))
			}
		}
	}
	for _, tag := range doc.Tags {
		if len(calls[tag.Name]) == 0 {
			continue
		}
		slices.SortStableFunc(calls[tag.Name], func(a, b call) int { return strings.Compare(a.Path, b.Path) })
		p.Groups = append(p.Groups, group{tag.Name, tag.Description, calls[tag.Name]})
		delete(calls, tag.Name)
	}
	for name, left := range calls {
		p.Groups = append(p.Groups, group{Name: name, Calls: left})
	}
	for name, s := range doc.Components.Schemas {
		p.Schemas = append(p.Schemas, schema{name, s.Value.Description, fieldsOf(s.Value)})
	}
	slices.SortFunc(p.Schemas, func(a, b schema) int { return strings.Compare(a.Name, b.Name) })
	return p
}

func callOf(path, method string, item *openapi3.PathItem, op *openapi3.Operation) call {
	c := call{
		ID: op.OperationID, Method: method, Path: path, Summary: op.Summary, Description: op.Description,
		Key: op.Security == nil || len(*op.Security) > 0,
	}
	for _, ref := range slices.Concat(item.Parameters, op.Parameters) {
		v := ref.Value
		about := v.Description
		if v.Schema != nil && len(v.Schema.Value.Enum) > 0 {
			about = strings.TrimSpace(about + " " + fmt.Sprint(v.Schema.Value.Enum...))
		}
		c.Params = append(c.Params, param{v.Name, v.In, about, text(v.Example), v.Required})
	}
	if op.RequestBody != nil {
		for kind, media := range op.RequestBody.Value.Content {
			b := &body{Type: kind, Schema: nameOf(media.Schema), File: strings.HasPrefix(kind, "multipart/")}
			if example := media.Example; example != nil {
				b.Example = pretty(example)
			} else if media.Schema != nil {
				b.Example = pretty(exampleOf(media.Schema.Value))
			}
			c.Body = b
		}
	}
	for status, ref := range op.Responses.Map() {
		a := answer{Status: status}
		if d := ref.Value.Description; d != nil {
			a.About = *d
		}
		for _, media := range ref.Value.Content {
			a.Schema = cmp.Or(nameOf(media.Schema), a.Schema)
		}
		c.Answers = append(c.Answers, a)
	}
	slices.SortFunc(c.Answers, func(a, b answer) int { return strings.Compare(a.Status, b.Status) })
	return c
}

func nameOf(s *openapi3.SchemaRef) string {
	if s == nil {
		return ""
	}
	_, name, _ := strings.Cut(s.Ref, "#/components/schemas/")
	return name
}

func fieldsOf(s *openapi3.Schema) (out []field) {
	for name, f := range s.Properties {
		kind := cmp.Or(nameOf(f), typeOf(f.Value))
		if f.Value.Items != nil {
			kind = "list of " + cmp.Or(nameOf(f.Value.Items), typeOf(f.Value.Items.Value))
		}
		out = append(out, field{name, kind, f.Value.Description, slices.Contains(s.Required, name)})
	}
	for _, part := range s.AllOf {
		out = append(out, fieldsOf(part.Value)...)
	}
	slices.SortFunc(out, func(a, b field) int { return strings.Compare(a.Name, b.Name) })
	return out
}

func typeOf(s *openapi3.Schema) string {
	if s.Type == nil {
		return ""
	}
	kind := strings.Join(s.Type.Slice(), " or ")
	if s.Format != "" {
		kind += ", " + s.Format
	}
	if len(s.Enum) > 0 {
		kind = fmt.Sprint(s.Enum)
	}
	return kind
}

// exampleOf makes a body out of a schema's examples: the fields that must be there, and those that have one.
func exampleOf(s *openapi3.Schema) any {
	if len(s.Examples) > 0 {
		return s.Examples[0]
	}
	out := map[string]any{}
	for name, f := range s.Properties {
		if len(f.Value.Examples) > 0 {
			out[name] = f.Value.Examples[0]
		} else if slices.Contains(s.Required, name) {
			out[name] = f.Value.Default
		}
	}
	return out
}

func text(v any) string {
	if v == nil {
		return ""
	}
	return fmt.Sprint(v)
}

func pretty(v any) string {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return ""
	}
	return string(b)
}

// markdown writes a description as HTML. goldmark leaves out raw HTML.
func markdown(text string) (template.HTML, error) {
	var out bytes.Buffer
	err := goldmark.New(goldmark.WithExtensions(extension.Table)).Convert([]byte(text), &out)
	return template.HTML(out.String()), err
}
