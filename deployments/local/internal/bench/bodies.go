package bench

import (
	"archive/tar"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"

	"sigs.k8s.io/yaml"
)

// body is an object as it is sent to an API server.
type body struct {
	collection string // where it is created
	json       []byte
	stage      stage
	namespaced bool
}

// stage is when an object is created: the same order as the product's.
type stage int

const (
	foundations stage = iota
	prerequisites
	workloads
	others
)

// stageOf holds the folders that aren't of prerequisites.
var stageOf = map[string]stage{
	"namespaces": foundations,
	"customresourcedefinitions.apiextensions.k8s.io": foundations,
	"deployments.apps":          workloads,
	"cronjobs.batch":            workloads,
	"widgets.bench.example.com": others,
}

// bodies are all objects that a branch holds, in the order of its files, with
// what is encrypted there in clear.
func (r *run) bodies(ctx context.Context, b branch) ([]body, error) {
	plaintext := map[string]object{}
	for _, o := range r.objects {
		if o.resource == secrets {
			plaintext[o.id] = o
		}
	}
	var all []body
	err := b.files(ctx, func(path string, content []byte) error {
		one, err := newBody(path, content, plaintext)
		if err != nil {
			return fmt.Errorf("%s of %s: %w", path, b.repository, err)
		}
		all = append(all, one)
		return nil
	})
	return all, err
}

func newBody(path string, content []byte, plaintext map[string]object) (body, error) {
	parts := strings.Split(path, "/")
	namespaced := parts[0] == "namespaces"
	if !namespaced && len(parts) != 3 || namespaced && len(parts) != 4 {
		return body{}, errors.New("not the file of an object")
	}
	var fields map[string]any
	if err := yaml.Unmarshal(content, &fields); err != nil {
		return body{}, err
	}
	folder := parts[len(parts)-2]
	if _, sealed := fields["sops"]; sealed {
		metadata, _ := fields["metadata"].(map[string]any)
		name, _ := metadata["name"].(string)
		secret, known := plaintext[name]
		if !known || folder != secrets {
			return body{}, errors.New("it is encrypted, and none of the benchmark's Secrets")
		}
		fields["data"] = secretData(secret)
		delete(fields, "sops")
	}
	version, _ := fields["apiVersion"].(string)
	b := body{collection: "/apis/" + version, namespaced: namespaced, stage: prerequisites}
	if version == "v1" {
		b.collection = "/api/v1"
	}
	if namespaced {
		b.collection += "/namespaces/" + parts[1]
	}
	resource, _, _ := strings.Cut(folder, ".")
	b.collection += "/" + resource
	if stage, ok := stageOf[folder]; ok {
		b.stage = stage
	}
	var err error
	b.json, err = json.Marshal(fields)
	return b, err
}

// secretData is what a Secret was filled with, as the API server has it.
func secretData(secret object) map[string]any {
	data := map[string]any{}
	for key, value := range secret.body()["stringData"].(map[string]any) {
		data[key] = base64.StdEncoding.EncodeToString([]byte(value.(string)))
	}
	return data
}

// files yields the manifests at the branch's tip.
func (b branch) files(ctx context.Context, each func(path string, content []byte) error) error {
	git := exec.CommandContext(ctx, "git", "-C", b.directory, "-c", "safe.directory=*", "archive", "--format=tar", "main")
	out, err := git.StdoutPipe()
	if err != nil {
		return err
	}
	if err := git.Start(); err != nil {
		return err
	}
	err = eachManifest(out, each)
	_, _ = io.Copy(io.Discard, out) // git ends when all is read
	if failed := git.Wait(); err == nil && failed != nil {
		err = fmt.Errorf("git archive in %s: %w", b.directory, failed)
	}
	return err
}

func eachManifest(archive io.Reader, each func(path string, content []byte) error) error {
	for entries := tar.NewReader(archive); ; {
		entry, err := entries.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if entry.Typeflag != tar.TypeReg || strings.HasPrefix(entry.Name, ".") || !strings.HasSuffix(entry.Name, ".yaml") {
			continue
		}
		content, err := io.ReadAll(entries)
		if err != nil {
			return err
		}
		if err := each(entry.Name, content); err != nil {
			return err
		}
	}
}
