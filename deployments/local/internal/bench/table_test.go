package bench

import (
	"strings"
	"testing"
)

func TestTableIsAligned(t *testing.T) {
	table := &table{header: []string{"what", "CPU"}}
	table.row("idle", "9 ms")
	table.row("first push", "12.1 s")
	table.row("none", nothing)
	want := `what           CPU
----------  ------
idle          9 ms
first push  12.1 s
none             –
`
	if got := table.plain(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	want = `| what       |    CPU |
| ---------- | -----: |
| idle       |   9 ms |
| first push | 12.1 s |
| none       |      – |
`
	if got := table.markdown(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestFiguresHaveUnits(t *testing.T) {
	for got, want := range map[string]string{
		seconds(0):         nothing,
		seconds(0.00412):   "4.12 ms",
		seconds(0.9996):    "1.00 s",
		seconds(75.04):     "75.0 s",
		byteCount(868):     "868 B",
		byteCount(150.2e6): "150 MB",
		ratio(12, 2):       "6.00×",
		ratio(12, 0):       nothing,
		number(1000):       "1,000",
		number(1.0 / 12):   "0.08",
		count(1234567):     "1,234,567",
		count(100):         "100",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestTablesHoldBothSidesAndTheirRatio(t *testing.T) {
	text := sample().Tables()
	for _, want := range []string{"10,000  first push", "1,000-object tick", "6.00×", "first push, one by one", "9.00×", "idle tick, Git requests", "150 MB",
		"kubectl apply --server-side", "80.0 % (64.0–100)", "180 MB", "56.1×"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in the tables:\n%s", want, text)
		}
	}
}
