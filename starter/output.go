package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/urfave/cli/v2"
	"sigs.k8s.io/yaml"

	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// format is how a command writes its result.
type format string

const (
	table    format = "table"
	jsonForm format = "json"
	yamlForm format = "yaml"
)

func outputFlags() []cli.Flag {
	return []cli.Flag{&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Value: string(table), Usage: "`FORMAT` of the result: table, json or yaml"}}
}

func formatOf(c *cli.Context) (format, error) {
	switch f := format(c.String("output")); f {
	case table, jsonForm, yamlForm:
		return f, nil
	default:
		return "", misuse("unknown output format %q: use table, json or yaml", f)
	}
}

// show writes a status.
func (t *terminal) show(f format, s workflows.Status) error {
	if f == table {
		_, err := io.WriteString(t.out, t.statusTable(s))
		return err
	}
	return encode(t.out, f, s)
}

// encode writes a value as an indented JSON document or as a YAML document.
func encode(out io.Writer, f format, value any) error {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(value); err != nil {
		return err
	}
	if f == yamlForm {
		document, err := yaml.JSONToYAML(text.Bytes())
		if err != nil {
			return err
		}
		text = *bytes.NewBuffer(document)
	}
	_, err := out.Write(text.Bytes())
	return err
}

// columns writes rows of cells under each other. Cells from outside must have been through oneLine.
func columns(out io.Writer, rows [][]string) {
	writer := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.StripEscape)
	for _, row := range rows {
		for i, cell := range row {
			if i > 0 {
				fmt.Fprint(writer, "\t")
			}
			fmt.Fprint(writer, cell)
		}
		fmt.Fprintln(writer)
	}
	_ = writer.Flush()
}
