package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/active-cluster-sync/active-cluster-sync/internal/stacktest"
	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

const statusPreface = "# Status\n\n" + generated +
	"What `starter status CLUSTER -o json` writes, the query `status` of the workflow answers, and each message that\n" +
	"changes an enrolment returns. Fields may be added; none is renamed, removed or given another meaning. Lists hold 100\n" +
	"entries at most; where there may be more, a count beside them tells the whole number.\n\n" +
	"While no worker answers, the command line makes a status of what Temporal has on record: `reason` is `NoWorker`, and\n" +
	"what only the worker knows is empty or 0. The exit status is then 1.\n\n" +
	"What to do about a reason: [states and reasons](../reasons.md), or\n`starter doctor CLUSTER`.\n"

// statusReference is the page about the status: the types as they are in JSON, with the comments of the code.
func statusReference() (string, error) {
	docs, err := readDocs(filepath.Join(stacktest.Root(), "workflows"))
	if err != nil {
		return "", err
	}
	page := &typePages{docs: docs}
	page.text.WriteString(statusPreface)
	for page.queue = []reflect.Type{reflect.TypeFor[workflows.Status]()}; len(page.queue) > 0; {
		next := page.queue[0]
		page.queue = page.queue[1:]
		if next.Kind() == reflect.Struct {
			page.object(next)
		} else {
			page.choice(next)
		}
	}
	return page.text.String(), nil
}

// typePages writes a section for each type.
type typePages struct {
	docs  docs
	text  strings.Builder
	queue []reflect.Type
	seen  []reflect.Type
}

// object is a table of the fields of a struct.
func (p *typePages) object(t reflect.Type) {
	fmt.Fprintf(&p.text, "\n## %s\n\n", t.Name())
	if t != reflect.TypeFor[workflows.Status]() {
		p.text.WriteString(p.docs.types[t.Name()] + "\n\n")
	}
	p.text.WriteString("| field | type | |\n|---|---|---|\n")
	for i := range t.NumField() {
		field := t.Field(i)
		_, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		kind := p.kind(field.Type)
		if strings.HasPrefix(options, "omit") {
			kind += ", may be missing"
		}
		fmt.Fprintf(&p.text, "| `%s` | %s | %s |\n", inJSON(field), kind, markdown(p.describe(t, field)))
	}
}

// choice is a table of the values of a type of texts.
func (p *typePages) choice(t reflect.Type) {
	fmt.Fprintf(&p.text, "\n## %s\n\n%s\n\n| value | |\n|---|---|\n", t.Name(), p.docs.types[t.Name()])
	for _, value := range p.docs.values[t.Name()] {
		fmt.Fprintf(&p.text, "| `%s` | %s |\n", value.text, markdown(value.doc))
	}
}

// kind is a type in the words of JSON. Types of the project get a section of their own.
func (p *typePages) kind(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[*time.Time]():
		return "time (RFC 3339) or null"
	case t == reflect.TypeFor[time.Time]():
		return "time (RFC 3339)"
	case t == reflect.TypeFor[metav1.Duration]():
		return "text like 1.5s"
	case t == reflect.TypeFor[time.Duration]():
		return "nanoseconds"
	}
	switch t.Kind() {
	case reflect.Pointer:
		return p.kind(t.Elem())
	case reflect.Slice:
		return "list of " + p.kind(t.Elem())
	case reflect.Map:
		return "map of " + p.kind(t.Elem())
	case reflect.Int, reflect.Int64:
		return "number"
	case reflect.Bool:
		return "true or false"
	}
	if t.Name() == "string" {
		return "text"
	}
	if !slices.Contains(p.seen, t) {
		p.seen = append(p.seen, t)
		p.queue = append(p.queue, t)
	}
	return fmt.Sprintf("[%s](#%s)", t.Name(), strings.ToLower(t.Name()))
}

// describe is the comment of a field. One comment may be about several.
func (p *typePages) describe(t reflect.Type, field reflect.StructField) string {
	text := p.docs.fields[t.Name()+"."+field.Name]
	if text == "" {
		for i := range t.NumField() {
			other := t.Field(i)
			if mentions := regexp.MustCompile(`\b` + field.Name + `\b`).MatchString(p.docs.fields[t.Name()+"."+other.Name]); mentions {
				return fmt.Sprintf("see `%s`.", inJSON(other))
			}
		}
		return ""
	}
	text = plain(field.Name, text)
	for i := range t.NumField() {
		other := t.Field(i)
		text = regexp.MustCompile(`\b`+other.Name+`\b`).ReplaceAllString(text, "`"+inJSON(other)+"`")
	}
	return regexp.MustCompile(`\bnil\b`).ReplaceAllString(text, "null")
}

func inJSON(field reflect.StructField) string {
	name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
	return name
}

// plain takes the name off that a comment begins with.
func plain(name, comment string) string {
	for _, verb := range []string{": ", " is ", " are ", " "} {
		if text, ok := strings.CutPrefix(comment, name+verb); ok && !strings.HasPrefix(text, "and ") {
			return text
		}
	}
	return comment
}

// docs are the comments in a package's source.
type docs struct {
	types  map[string]string
	fields map[string]string // by "Type.Field"
	values map[string][]value
}

// value is a constant of a type of texts.
type value struct{ text, doc string }

func readDocs(dir string) (docs, error) {
	d := docs{types: map[string]string{}, fields: map[string]string{}, values: map[string][]value{}}
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return d, err
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			return d, err
		}
		for _, declaration := range file.Decls {
			if group, ok := declaration.(*ast.GenDecl); ok {
				d.read(group)
			}
		}
	}
	return d, nil
}

func (d docs) read(group *ast.GenDecl) {
	for _, spec := range group.Specs {
		switch s := spec.(type) {
		case *ast.TypeSpec:
			d.types[s.Name.Name] = comment(s.Doc, group.Doc)
			if object, ok := s.Type.(*ast.StructType); ok {
				for _, field := range object.Fields.List {
					for _, name := range field.Names {
						d.fields[s.Name.Name+"."+name.Name] = comment(field.Doc)
					}
				}
			}
		case *ast.ValueSpec:
			kind, ok := s.Type.(*ast.Ident)
			if !ok || group.Tok != token.CONST || len(s.Values) != 1 {
				continue
			}
			if literal, ok := s.Values[0].(*ast.BasicLit); ok && literal.Kind == token.STRING {
				text, _ := strconv.Unquote(literal.Value) // the parser has read it
				d.values[kind.Name] = append(d.values[kind.Name], value{text, plain(s.Names[0].Name, comment(s.Doc))})
			}
		}
	}
}

// comment is the first that there is, in one line.
func comment(groups ...*ast.CommentGroup) string {
	for _, group := range groups {
		if text := strings.Join(strings.Fields(group.Text()), " "); text != "" {
			return text
		}
	}
	return ""
}
