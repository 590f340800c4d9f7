package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// catalog is package schemas as the targets see it.
type catalog struct {
	structs map[string]*structure
	order   []*structure
	named   map[string]string // each declared type, and what it is made of
	events  []*structure
	states  []*structure      // rows of current states that several events make
	topics  map[string]string // constant to name
	views   []view
	enums   map[string]enum
}

// enum is the constants of a type, by name and by value.
type enum struct{ names, values []string }

// structure is a Go struct. Embedded structs lie flat among its fields, as encoding/json has them. One with a topic is
// an event: a topic's records hold it.
type structure struct {
	name, doc string
	comment   *ast.CommentGroup
	syntax    *ast.StructType
	fields    []*field
	held      bool // by an event
	apart     bool // by an event whose table takes it apart

	kind         string // event: Kasi writes it; feed: it comes from outside; row: it is only stored
	topic, title string // the topic's constant; the title of its JSON Schema, empty where it has none
	table, key   string
	more         map[string][]string // directives of each word: index, latest, without, rands, nullable
}

type field struct {
	name, json, goType, doc string
	typ                     string // the Go type as other packages name it
	shape                   string // the name of its kind
	kind                    *kind
	omit                    bool // omitempty
	meta                    bool // of Meta: its columns end the table
	tag                     map[string]string
	enum
	elem *structure // of a struct or a list of structs
}

func (s *structure) feed() bool   { return s.kind == "feed" }
func (s *structure) stored() bool { return s.table != "" }

// where are the events that a target is about.
func (c *catalog) where(about func(e *structure) bool) []*structure {
	return slices.DeleteFunc(slices.Clone(c.events), func(e *structure) bool { return !about(e) })
}

// load parses the package in dir.
func load(dir string) *catalog {
	c := &catalog{
		structs: map[string]*structure{}, named: map[string]string{}, topics: map[string]string{},
		enums: map[string]enum{},
	}
	var comment *ast.CommentGroup // of the declaration
	set := token.NewFileSet()
	paths, _ := filepath.Glob(filepath.Join(dir, "*.go")) // the pattern is right
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") || strings.HasSuffix(path, ".gen.go") {
			continue
		}
		file, err := parser.ParseFile(set, path, nil, parser.ParseComments)
		if err != nil {
			fail("%v", err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				return false
			case *ast.GenDecl:
				comment = n.Doc
			case *ast.ValueSpec:
				c.constant(n)
			case *ast.TypeSpec:
				c.named[n.Name.Name] = types.ExprString(n.Type)
				if syntax, ok := n.Type.(*ast.StructType); ok {
					s := &structure{name: n.Name.Name, doc: prose(comment), comment: comment, syntax: syntax}
					c.structs[s.name], c.named[s.name] = s, "struct"
					c.order = append(c.order, s)
				}
			}
			return true
		})
	}
	for _, s := range c.order {
		c.fill(s)
		c.event(s)
	}
	slices.SortFunc(c.order, func(a, b *structure) int { return strings.Compare(a.name, b.name) })
	return c
}

// constant keeps a text constant: a topic's name, or a value of its type.
func (c *catalog) constant(spec *ast.ValueSpec) {
	for i, value := range spec.Values {
		lit, ok := value.(*ast.BasicLit)
		if !ok || lit.Kind != token.STRING {
			continue
		}
		name, value := spec.Names[i].Name, unquote(lit)
		if typ, ok := spec.Type.(*ast.Ident); ok {
			e := c.enums[typ.Name]
			c.enums[typ.Name] = enum{append(e.names, "schemas."+name), append(e.values, value)}
		} else if strings.HasPrefix(name, "Topic") {
			c.topics[name] = value
		}
	}
}

// unquote reads a text that the parser has checked.
func unquote(lit *ast.BasicLit) string {
	s, _ := strconv.Unquote(lit.Value)
	return s
}

// fill reads the fields of a struct, and of those it holds first.
func (c *catalog) fill(s *structure) {
	if s.fields != nil {
		return
	}
	kinds := kinds()
	for _, spec := range s.syntax.Fields.List {
		goType := types.ExprString(spec.Type)
		base := strings.TrimLeft(goType, "[]*")
		sign := strings.TrimSuffix(goType, base)
		inner := c.structs[base]
		if inner != nil {
			c.fill(inner)
		}
		if len(spec.Names) == 0 {
			for _, f := range inner.fields {
				f := *f
				f.meta = f.meta || goType == "Meta"
				s.fields = append(s.fields, &f)
			}
			continue
		}
		f := &field{
			name: spec.Names[0].Name, goType: goType, typ: goType, shape: goType, elem: inner,
			tag: map[string]string{}, enum: c.enums[base],
		}
		if under := c.named[base]; under != "" {
			f.typ = sign + "schemas." + base
			if under == "string" || under == "struct" {
				f.shape = sign + under
			}
		}
		f.kind = kinds[f.shape]
		f.doc = prose(spec.Doc)
		if spec.Tag != nil {
			f.tags(s.name, reflect.StructTag(unquote(spec.Tag)))
		}
		s.fields = append(s.fields, f)
	}
}

// known are the words of the tag cat.
var known = regexp.MustCompile(`^(date|uuid|low|id|text|code|json|UInt8|(min|max|col|after|rands|enum|pattern)=.+)$`)

func (f *field) tags(place string, tag reflect.StructTag) {
	var options string
	f.json, options, _ = strings.Cut(tag.Get("json"), ",")
	f.omit = options == "omitempty"
	for _, word := range strings.Fields(tag.Get("cat")) {
		if !known.MatchString(word) {
			fail("%s.%s: the tag cat has no word %q", place, f.name, word)
		}
		name, value, _ := strings.Cut(word, "=")
		f.tag[name] = value
	}
	if f.is("enum") {
		f.values = strings.Split(f.tag["enum"], ",")
		for _, value := range f.values {
			f.names = append(f.names, strconv.Quote(value))
		}
	}
}

func (f *field) is(word string) bool { _, ok := f.tag[word]; return ok }

// apart tells whether a table takes the field's objects apart.
func (f *field) apart() bool { return f.elem != nil && !f.is("json") }

// unit is what comments say of an amount.
func (f *field) unit() string {
	if strings.HasSuffix(f.goType, "Cents") {
		return " In cents."
	}
	return ""
}

var isA = regexp.MustCompile(`^[A-Z]\w* is `)

// prose is a comment as one line, without the "Name is" of Go's comments and without directives.
func prose(group *ast.CommentGroup) string {
	line := strings.Join(strings.Fields(group.Text()), " ")
	if name := isA.FindString(line); name != "" {
		return strings.ToUpper(line[len(name):][:1]) + line[len(name)+1:]
	}
	return line
}

// event reads the directives of a struct.
func (c *catalog) event(s *structure) {
	s.more = map[string][]string{}
	if s.comment == nil {
		return
	}
	for _, line := range s.comment.List {
		text, ok := strings.CutPrefix(line.Text, "//catalog:")
		if !ok {
			continue
		}
		word, rest, _ := strings.Cut(text, " ")
		name, more, _ := strings.Cut(rest, " ")
		switch word {
		case "event", "feed", "row":
			s.kind, s.topic, s.title = word, name, more
			if c.topics[s.topic] == "" {
				fail("%s: no topic is named %s", s.name, s.topic)
			}
		case "table":
			s.table, s.key = name, more
		case "state":
			s.table, s.key = name, more
			c.states = append(c.states, s)
			s.check()
		case "index", "latest", "without", "rands", "nullable":
			s.more[word] = append(s.more[word], rest)
		default:
			fail("%s: no directive is named %s", s.name, word)
		}
	}
	if s.topic == "" {
		return
	}
	s.check()
	c.events = append(c.events, s)
}

func (s *structure) check() {
	for _, f := range s.fields {
		if f.doc == "" || f.json == "" || f.kind == nil {
			fail("%s.%s: a field of an event needs a comment, a JSON name and a type of kinds.go", s.name, f.name)
		}
		if f.elem != nil {
			f.elem.held, f.elem.apart = true, f.elem.apart || f.apart()
			f.elem.check()
		}
	}
}
