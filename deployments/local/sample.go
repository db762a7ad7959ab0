package main

import (
	"embed"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"sigs.k8s.io/yaml"
)

// The sample application, a shop for lanterns.
//
//go:embed sample/*.yaml
var sampleFiles embed.FS

// sampleCRD goes to a cluster before the rest, which has objects of it.
const sampleCRD = "00-promotion-crd.yaml"

// object is one of Kubernetes, as JSON knows it.
type object map[string]any

// identity is `kind.group namespace/name`: what makes an object the same one in
// another cluster or in Git.
func (o object) identity() string {
	group, _, found := strings.Cut(o.text("apiVersion"), "/")
	if !found {
		group = ""
	}
	metadata := object(o.child("metadata"))
	kind := strings.TrimSuffix(o.text("kind")+"."+group, ".")
	return strings.TrimSpace(kind + " " + strings.TrimPrefix(metadata.text("namespace")+"/"+metadata.text("name"), "/"))
}

func (o object) text(field string) string {
	text, _ := o[field].(string)
	return text
}

func (o object) child(field string) map[string]any {
	child, _ := o[field].(map[string]any)
	return child
}

// writeSample puts the manifests where kubectl can read them.
func writeSample(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	files, err := sampleFiles.ReadDir("sample")
	if err != nil {
		return err
	}
	for _, file := range files {
		text, err := sampleFiles.ReadFile("sample/" + file.Name())
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, file.Name()), text, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// readManifests returns the objects of all YAML files of a tree.
func readManifests(tree fs.FS) ([]object, error) {
	var objects []object
	err := fs.WalkDir(tree, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && entry.Name() == ".git" {
			return fs.SkipDir
		}
		if entry.IsDir() || !strings.HasSuffix(path, ".yaml") {
			return nil
		}
		text, err := fs.ReadFile(tree, path)
		if err != nil {
			return err
		}
		for document := range strings.SplitSeq(string(text), "\n---\n") {
			var o object
			if err := yaml.Unmarshal([]byte(document), &o); err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
			if o.text("kind") != "" {
				objects = append(objects, o)
			}
		}
		return nil
	})
	return objects, err
}
