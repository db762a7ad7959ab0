package bench

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestChartIsWellFormedAndHoldsEachSeries(t *testing.T) {
	report := sample()
	svg := chart(costSeries(report.Sizes), report.Machine.CPU)
	texts, lines := elements(t, svg)
	for _, want := range []string{"first push, 3.00 s", "idle tick, 4.00 ms", "one-object tick, 20.0 ms",
		"first push, kubectl+git, 9.00 s", "idle tick, kubectl+git, 5.00 s", "one-object tick, kubectl+git, 6.00 s",
		"1,000", "10,000", "Processor <9> & co"} {
		if !strings.Contains(texts, want+"\n") {
			t.Errorf("%q is not in the chart:\n%s", want, texts)
		}
	}
	if lines != 6 {
		t.Errorf("%d lines, want 6", lines)
	}
}

func TestChartLeavesOutWhatWasNotMeasured(t *testing.T) {
	report := sample()
	for i := range report.Sizes {
		report.Sizes[i].Product = Costs{}
	}
	if _, lines := elements(t, chart(costSeries(report.Sizes), "")); lines != 3 {
		t.Errorf("%d lines, want those of the baseline", lines)
	}
	if _, lines := elements(t, chart(nil, "")); lines != 0 {
		t.Errorf("%d lines in an empty chart", lines)
	}
}

// elements returns the texts, a line each, and how many series are drawn. NaN
// and infinity are no coordinates.
func elements(t *testing.T, svg string) (texts string, lines int) {
	t.Helper()
	var all strings.Builder
	decoder := xml.NewDecoder(strings.NewReader(svg))
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return all.String(), lines
		}
		if err != nil {
			t.Fatalf("not well-formed: %v", err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			if token.Name.Local == "polyline" {
				lines++
			}
			for _, attribute := range token.Attr {
				if strings.Contains(attribute.Value, "NaN") || strings.Contains(attribute.Value, "Inf") {
					t.Errorf("%s %s=%q", token.Name.Local, attribute.Name.Local, attribute.Value)
				}
			}
		case xml.CharData:
			all.WriteString(string(token) + "\n")
		}
	}
}
