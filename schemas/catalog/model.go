package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

// catalog is package schemas as the generators see it.
type catalog struct {
	structs map[string]*structure
	events  []*event
	topics  map[string]string // constant to name
	enums   map[string][]constant
}

type constant struct{ name, value string }

// structure is a Go struct. Embedded structs lie flat among its fields, as encoding/json has them.
type structure struct {
	name, doc  string
	fields     []*field
	directives []string
}

type field struct {
	name, json, goType, doc string
	omit                    bool // omitempty
	meta                    bool // of Meta: its columns end the table
	tag                     map[string]string
	enum                    []constant
	elem                    *structure // of a struct or a list of structs
}

// event is a struct that a topic's records hold.
type event struct {
	*structure
	kind         string // event: Kasi writes it; feed: it comes from outside; row: it is only stored
	topic, title string // the topic's constant; the title of its JSON Schema, empty where it has none
	table, key   string
	indexes      []string
	rands        []string
	nullable     string
}

// load parses the package in dir.
func load(dir string) *catalog {
	set := token.NewFileSet()
	var decls []ast.Decl
	paths, _ := filepath.Glob(filepath.Join(dir, "*.go")) // the pattern is right
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") || strings.HasSuffix(path, ".gen.go") {
			continue
		}
		file, err := parser.ParseFile(set, path, nil, parser.ParseComments)
		if err != nil {
			fail("%v", err)
		}
		decls = append(decls, file.Decls...)
	}
	c := &catalog{structs: map[string]*structure{}, topics: map[string]string{}, enums: map[string][]constant{}}
	specs := map[string]*ast.StructType{}
	var order []string
	for _, decl := range decls {
		gen, ok := decl.(*ast.GenDecl)
		if !ok {
			continue
		}
		for _, spec := range gen.Specs {
			switch spec := spec.(type) {
			case *ast.ValueSpec:
				c.constant(spec)
			case *ast.TypeSpec:
				if st, ok := spec.Type.(*ast.StructType); ok {
					s := &structure{name: spec.Name.Name}
					s.doc, s.directives = doc(gen.Doc)
					c.structs[s.name], specs[s.name] = s, st
					order = append(order, s.name)
				}
			}
		}
	}
	for _, name := range order {
		c.fill(c.structs[name], specs)
	}
	for _, name := range order {
		c.event(c.structs[name])
	}
	return c
}

// constant keeps a text constant: a topic's name, or a value of its type.
func (c *catalog) constant(spec *ast.ValueSpec) {
	for i, name := range spec.Names {
		if i >= len(spec.Values) {
			return
		}
		lit, ok := spec.Values[i].(*ast.BasicLit)
		if !ok || lit.Kind != token.STRING {
			continue
		}
		value, _ := strconv.Unquote(lit.Value) // the parser has checked it
		if typ, ok := spec.Type.(*ast.Ident); ok {
			c.enums[typ.Name] = append(c.enums[typ.Name], constant{"schemas." + name.Name, value})
		} else if strings.HasPrefix(name.Name, "Topic") {
			c.topics[name.Name] = value
		}
	}
}

// fill reads the fields of a struct, and of those it holds first.
func (c *catalog) fill(s *structure, specs map[string]*ast.StructType) {
	if s.fields != nil {
		return
	}
	for _, spec := range specs[s.name].Fields.List {
		goType := typeText(spec.Type)
		if len(spec.Names) == 0 {
			inner := c.structs[goType]
			c.fill(inner, specs)
			for _, f := range inner.fields {
				f := *f
				f.meta = goType == "Meta"
				s.fields = append(s.fields, &f)
			}
			continue
		}
		f := &field{name: spec.Names[0].Name, goType: goType, tag: map[string]string{}}
		f.doc, _ = doc(spec.Doc)
		if spec.Tag != nil {
			f.tags(s.name, spec.Tag.Value)
		}
		f.enum = c.enums[strings.TrimPrefix(goType, "*")]
		for _, value := range strings.FieldsFunc(f.tag["enum"], func(r rune) bool { return r == ',' }) {
			f.enum = append(f.enum, constant{strconv.Quote(value), value})
		}
		if f.elem = c.structs[strings.TrimPrefix(goType, "[]")]; f.elem != nil {
			c.fill(f.elem, specs)
		}
		s.fields = append(s.fields, f)
	}
}

// known are the words of the tag cat.
var known = regexp.MustCompile(`^(date|uuid|low|id|text|code|json|UInt8|(min|max|col|after|rands|enum|pattern)=.+)$`)

func (f *field) tags(place, quoted string) {
	tag, _ := strconv.Unquote(quoted) // the parser has checked it
	var options string
	f.json, options, _ = strings.Cut(reflect.StructTag(tag).Get("json"), ",")
	f.omit = options == "omitempty"
	for _, word := range strings.Fields(reflect.StructTag(tag).Get("cat")) {
		if !known.MatchString(word) {
			fail("%s.%s: the tag cat has no word %q", place, f.name, word)
		}
		name, value, _ := strings.Cut(word, "=")
		f.tag[name] = value
	}
}

func (f *field) is(word string) bool { _, ok := f.tag[word]; return ok }

func typeText(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.StarExpr:
		return "*" + typeText(e.X)
	case *ast.ArrayType:
		return "[]" + typeText(e.Elt)
	case *ast.SelectorExpr:
		return typeText(e.X) + "." + e.Sel.Name
	}
	return "?"
}

var named = regexp.MustCompile(`^[A-Z]\w* is `)

// doc is a comment as one line of prose without the "Name is" of Go's comments, and its directives.
func doc(group *ast.CommentGroup) (prose string, directives []string) {
	if group == nil {
		return "", nil
	}
	for _, line := range group.List {
		if d, ok := strings.CutPrefix(line.Text, "//catalog:"); ok {
			directives = append(directives, d)
		}
	}
	prose = strings.Join(strings.Fields(group.Text()), " ")
	if short := named.ReplaceAllString(prose, ""); short != prose {
		prose = string(unicode.ToUpper(rune(short[0]))) + short[1:]
	}
	return prose, directives
}

// event reads the directives of a struct.
func (c *catalog) event(s *structure) {
	e := &event{structure: s}
	for _, d := range s.directives {
		word, rest, _ := strings.Cut(d, " ")
		switch word {
		case "event", "feed", "row":
			e.kind = word
			e.topic, e.title, _ = strings.Cut(rest, " ")
			if c.topics[e.topic] == "" {
				fail("%s: no topic is named %s", s.name, e.topic)
			}
		case "table":
			e.table, e.key, _ = strings.Cut(rest, " ")
		case "index":
			e.indexes = append(e.indexes, rest)
		case "rands":
			e.rands = append(e.rands, rest)
		case "nullable":
			e.nullable = rest
		default:
			fail("%s: no directive is named %s", s.name, word)
		}
	}
	if e.topic == "" {
		return
	}
	for _, f := range s.fields {
		if f.doc == "" || f.json == "" {
			fail("%s.%s: a field of an event needs a comment and a JSON name", s.name, f.name)
		}
	}
	c.events = append(c.events, e)
}
