package manifest

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// Document is one object of a file.
type Document struct {
	Object map[string]any
	File   string
	// Line is the 1-based line that the object's document begins at. Items of a List have that of the List.
	Line int
	// Sealed: it is encrypted with SOPS, all documents of the file together. What the object is stands in it
	// in clear.
	Sealed bool
}

// Problem is something in a file that can't be applied. It never keeps the rest from being read. While a
// file has a problem without an Object, that it doesn't hold some object is not a fact to delete by.
type Problem struct {
	File string
	// Line is 1-based; the parser's errors may be a line off. It is 0 where the file as a whole is meant.
	Line int
	// Object is which object it is, as far as that is known: "Deployment.apps shop/cart".
	Object string
	// Message says what is wrong and what to do, in one line. It quotes names, never values.
	Message string
	// Foreign: it is another tool's, in a format that isn't only used for Kubernetes. Nobody has to be told,
	// as long as the file never held an object.
	Foreign bool
}

// FileLine is a place in a file as compilers write it, "shop/cart.yaml:12"; line 0 is the file as a whole.
func FileLine(file string, line int) string {
	if line == 0 {
		return file
	}
	return fmt.Sprintf("%s:%d", file, line)
}

const (
	// maxFileSize is three times what an API server takes in one request, and more than the largest bundles
	// of manifests in use (some 5 MiB).
	maxFileSize = 10 << 20
	// maxValues bounds what a document is made of: each value costs the parser some 200 bytes of memory,
	// however short it is in the file. A large CRD has 50,000.
	maxValues = 1 << 20
	// maxDocuments bounds the time that a file of nothing but separators takes.
	maxDocuments = 10_000
	// maxProblems of one file are told, and how many more there are.
	maxProblems = 100
)

// Decode reads the objects of a file of any layout: YAML, one or several documents, or JSON; Lists are taken
// apart. It takes YAML for what kubectl takes it for (YAML 1.1: yes is true), but is stricter: a key that is
// given twice is a problem. Files of other tools are told as such. Of JSON files, which other tools have many
// of, those that hold nothing like an object have one problem, which is Foreign.
//
// Numbers come as int64 and float64, as from an API server. The size of a file, the number of its documents
// and values, the expansion of its aliases, and its depth (10,000) are bounded.
func Decode(file string, data []byte) ([]Document, []Problem) {
	documents, _, problems := Locate(file, data)
	return documents, problems
}

// Place is where an object stands in its file.
type Place struct {
	// Offset and End bound the text of its document in the file, with the separator above it.
	Offset, End int
	// Value counts the values of this text: JSON may have several with no separator between them.
	Value int
	// Items leads from the value to the object: which of a List's items, and so on for a List in a List.
	Items []int
}

// Locate is Decode that also tells where each document stands.
func Locate(file string, data []byte) ([]Document, []Place, []Problem) {
	r := &reading{file: file, shared: strings.HasSuffix(file, ".json")}
	r.read(data)
	if r.foreign {
		r.problems = append(r.problems, Problem{File: file, Message: messageForeign, Foreign: true})
	}
	if r.untold > 0 {
		r.problems = append(r.problems, Problem{File: file, Message: fmt.Sprintf("%d more problems in this file", r.untold)})
	}
	return r.documents, r.places, r.problems
}

// Values reads all values of a text, whatever they are, as Decode reads documents before it takes Lists apart.
func Values(text []byte) ([]any, error) {
	var all []any
	for part := range parts(text) {
		values, err := part.parse()
		if err != nil {
			return nil, fmt.Errorf("line %d: %s", err.line, err.message)
		}
		for _, v := range values {
			all = append(all, v.value)
		}
	}
	return all, nil
}

// reading is a file being read.
type reading struct {
	file string
	// shared: the format is one that other tools use as well.
	shared bool
	// foreign: it holds something of another tool.
	foreign   bool
	documents []Document
	// places has one for each of documents; at is the place of what is being taken.
	places   []Place
	at       Place
	problems []Problem
	untold   int
}

func (r *reading) read(data []byte) {
	if line, message := unreadable(data); message != "" {
		r.problem(line, "", message)
		return
	}
	if line := helmTemplate(r.file, data); line > 0 {
		r.problem(line, "", messageHelmTemplate)
		return
	}
	// What can't be made out is foreign where no word of Kubernetes is in it.
	foreign := r.shared && !bytes.Contains(data, []byte(`"apiVersion"`))
	count := 0
	text := bytes.TrimPrefix(data, []byte("\ufeff"))
	for part := range parts(text) {
		if count++; count > maxDocuments {
			r.problem(part.line, "", fmt.Sprintf("the file has more than %d documents: the rest is not read, split it", maxDocuments))
			return
		}
		values, err := part.parse()
		for i, v := range values {
			begin := len(data) - len(text) + part.offset
			r.at = Place{Offset: begin, End: begin + len(part.text), Value: i}
			r.take(v.value, v.line, foreign)
		}
		switch {
		case err != nil && foreign:
			r.foreign = true
		case err != nil && r.shared:
			r.problem(err.line, "", strings.Replace(err.message, "not valid YAML", "not valid JSON", 1))
		case err != nil:
			r.problem(err.line, "", err.message)
		}
	}
}

// take adds what a document holds: an object, the items of a List, or nothing.
func (r *reading) take(value any, line int, foreign bool) {
	obj, ok := value.(map[string]any)
	switch {
	case value == nil:
	case !ok && foreign, ok && r.shared && !claims(obj):
		r.foreign = true
	case !ok:
		r.problem(line, "", fmt.Sprintf("the document is %s, not a Kubernetes object", typeName(value)))
	case isList(obj):
		r.takeItems(obj, line)
	default:
		r.takeObject(obj, line, isSOPS(obj))
	}
}

func (r *reading) takeObject(obj map[string]any, line int, sealed bool) {
	message := foreign(r.file, obj)
	if message == "" {
		message = invalid(obj)
	}
	switch {
	case message == "":
		r.documents = append(r.documents, Document{Object: obj, File: r.file, Line: line, Sealed: sealed})
		r.places = append(r.places, r.at)
	case sealed:
		r.problem(line, "", "the document is encrypted with SOPS in full, so that it doesn't say which object it is: encrypt it with --encrypted-regex '^(data|stringData)$'")
	default:
		r.problem(line, describe(obj), message)
	}
}

// isList recognises a List, of any kind or of one, by its items. It has no name, as an object of a kind that
// happens to be called so does.
func isList(obj map[string]any) bool {
	kind, _ := obj["kind"].(string)
	items, has := obj["items"]
	_, list := items.([]any)
	return strings.HasSuffix(kind, "List") && has && (list || items == nil) && IDOf(obj).Name == ""
}

// takeItems adds the items of a List. Those of a typed one, like a ConfigMapList, may leave out what they
// are.
func (r *reading) takeItems(list map[string]any, line int) {
	kind, _ := list["kind"].(string)
	items, _ := list["items"].([]any)
	within := r.at.Items
	defer func() { r.at.Items = within }()
	for i, item := range items {
		r.at.Items = slices.Concat(within, []int{i})
		obj, ok := item.(map[string]any)
		if !ok {
			r.problem(line, "", fmt.Sprintf("items[%d] of the %s is %s, not a Kubernetes object", i, shorten(kind), typeName(item)))
			continue
		}
		if of := strings.TrimSuffix(kind, "List"); of != "" {
			if obj["kind"] == nil {
				obj["kind"] = of
			}
			if obj["apiVersion"] == nil {
				obj["apiVersion"] = list["apiVersion"]
			}
		}
		if isList(obj) {
			r.takeItems(obj, line)
		} else {
			r.takeObject(obj, line, isSOPS(list) || isSOPS(obj))
		}
	}
}

func (r *reading) problem(line int, object, message string) {
	if len(r.problems) >= maxProblems {
		r.untold++
		return
	}
	r.problems = append(r.problems, Problem{File: r.file, Line: line, Object: object, Message: message})
}

// describe names an object as far as it says what it is.
func describe(obj map[string]any) string {
	id := IDOf(obj)
	if id.Kind == "" || id.Name == "" {
		return ""
	}
	return shorten(id.String())
}

// typeName says what a value is, without the value.
func typeName(value any) string {
	switch value.(type) {
	case nil:
		return "empty"
	case string:
		return "text"
	case bool:
		return "true or false"
	case int64, float64:
		return "a number"
	case []any:
		return "a list"
	}
	return "a map"
}

// shorten keeps a name from a file short enough for a line.
func shorten(s string) string {
	const most = 200
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
