package bench

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// table has a header and rows of as many cells.
type table struct {
	header []string
	rows   [][]string
}

func (t *table) row(cells ...string) { t.rows = append(t.rows, cells) }

// plain is the table for a terminal; numbers are to the right.
func (t *table) plain() string { return t.text("  ", "", "") }

// markdown is the table for a page.
func (t *table) markdown() string { return t.text(" | ", "| ", " |") }

func (t *table) text(between, before, after string) string {
	widths := make([]int, len(t.header))
	for _, row := range append([][]string{t.header}, t.rows...) {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	var out strings.Builder
	line := func(row []string) {
		cells := make([]string, len(row))
		for i, cell := range row {
			space := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if t.numeric(i) {
				cells[i] = space + cell
			} else {
				cells[i] = cell + space
			}
		}
		out.WriteString(strings.TrimRight(before+strings.Join(cells, between)+after, " ") + "\n")
	}
	line(t.header)
	rule := make([]string, len(widths))
	for i, width := range widths {
		rule[i] = strings.Repeat("-", max(width, 3))
		if t.numeric(i) && before != "" {
			rule[i] = rule[i][1:] + ":"
		}
	}
	out.WriteString(before + strings.Join(rule, between) + after + "\n")
	for _, row := range t.rows {
		line(row)
	}
	return out.String()
}

// numeric tells whether a column holds figures: its cells begin with a digit
// or stand for nothing.
func (t *table) numeric(column int) bool {
	for _, row := range t.rows {
		if cell := row[column]; cell != nothing && (cell == "" || cell[0] < '0' || cell[0] > '9') {
			return false
		}
	}
	return len(t.rows) > 0
}

// nothing stands for what wasn't measured or makes no sense.
const nothing = "–"

// costTable has a row for each kind of tick at each size.
func costTable(sizes []Size) *table {
	t := &table{header: []string{"objects", "what", "wall", "kubectl+git", "ratio", "CPU", "kubectl+git", "ratio"}}
	for _, size := range sizes {
		for _, tick := range ticks(size) {
			p, b := tick.product, tick.baseline
			t.row(count(size.Objects), tick.name,
				seconds(p.Wall), seconds(b.Wall), ratio(b.Wall, p.Wall),
				seconds(p.CPU), seconds(b.CPU), ratio(b.CPU, p.CPU))
		}
	}
	return t
}

// trafficTable says what went over the wires.
func trafficTable(sizes []Size) *table {
	t := &table{header: []string{"objects", "what", "who", "API requests", "list+get", "API bytes", "Git requests", "Git bytes", "Git objects", "files changed", "latency"}}
	for _, size := range sizes {
		for _, tick := range ticks(size) {
			for _, who := range []struct {
				name string
				cost Cost
			}{{"product", tick.product}, {"kubectl+git", tick.baseline}} {
				if tick.again && who.name == "product" {
					continue
				}
				c := who.cost
				latency := nothing
				if c.Latency > 0 {
					latency = seconds(c.Latency)
				}
				t.row(count(size.Objects), tick.name, who.name, number(c.allAPIRequests()), number(c.reads()), byteCount(c.APIBytes),
					number(c.GitRequests), byteCount(c.GitBytes), number(c.GitObjects), number(c.Changed), latency)
			}
		}
	}
	return t
}

// pullTable has the pull of each size and its rivals.
func pullTable(sizes []Size) *table {
	t := &table{header: []string{"objects", "what", "written", "wall", "of it Apply", "objects/s", "of raw", "kubectl's", "CPU", "API requests", "API bytes", "Git requests"}}
	for _, size := range sizes {
		pull := size.Pull
		kubectl := pull.Kubectl
		row := func(what string, rate Rate, ofRaw string, rest ...string) {
			t.row(append([]string{count(size.Objects), what, number(rate.Objects), seconds(rate.Seconds), rest[0], perSecond(rate),
				ofRaw, ratio(rate.perSecond(), kubectl.perSecond()), seconds(rate.CPU)}, rest[1:]...)...)
		}
		product := func(what string, c Cost, ofRaw string) {
			row(what, c.written(), ofRaw, seconds(c.Apply), number(c.allAPIRequests()), byteCount(c.APIBytes), number(c.GitRequests))
		}
		rival := func(what string, rate Rate) { row(what, rate, nothing, nothing, nothing, nothing, nothing) }
		product("first pull", pull.First, percentage(ofRaw(pull.Turns, firstPull)))
		rival("raw POSTs", pull.Raw)
		rival("kubectl apply --server-side", kubectl)
		product("drift restored", pull.Drift, percentage(ofRaw(pull.Turns, driftRestored)))
		product("idle tick", pull.Idle, nothing)
		kubectl = pull.FarKubectl
		product("first pull, from a distance", pull.Far, nothing)
		rival("kubectl apply, from a distance", kubectl)
	}
	return t
}

// exchangeTable has the ticks of push-pull.
func exchangeTable(sizes []Size) *table {
	t := &table{header: []string{"objects", "what", "wall", "latency", "CPU", "API requests", "API bytes", "Git requests", "Git bytes", "Git objects"}}
	for _, size := range sizes {
		row := func(what string, c Cost) {
			t.row(count(size.Objects), what, seconds(c.Wall), seconds(c.Latency), seconds(c.CPU), number(c.allAPIRequests()),
				byteCount(c.APIBytes), number(c.GitRequests), byteCount(c.GitBytes), number(c.GitObjects))
		}
		row("idle tick", size.Exchange.Idle)
		row("one object changed in the cluster", size.Exchange.FromCluster)
		row("one object changed in Git", size.Exchange.FromGit)
	}
	return t
}

func perSecond(rate Rate) string {
	if rate.perSecond() == 0 {
		return nothing
	}
	return digits(rate.perSecond())
}

// percentage is the median of shares in percent, and what they lie between.
func percentage(ascending []float64) string {
	if len(ascending) == 0 {
		return nothing
	}
	return fmt.Sprintf("%s %% (%s–%s)", digits(median(ascending)), digits(ascending[0]), digits(ascending[len(ascending)-1]))
}

// memoryTable has a row for each size.
func memoryTable(sizes []Size) *table {
	t := &table{header: []string{"objects", "in Git", "of these Secrets", "time to create them", "worker's peak RSS", "kubectl's or git's", "ratio", "worker's peak RSS, pull"}}
	for _, size := range sizes {
		t.row(count(size.Objects), count(size.Exported), count(size.Secrets), seconds(size.PopulateSeconds),
			byteCount(size.Product.PeakRSS), byteCount(size.Baseline.PeakRSS), ratio(size.Baseline.PeakRSS, size.Product.PeakRSS),
			byteCount(size.Pull.PeakRSS))
	}
	return t
}

func requirementTable(all []Requirement) *table {
	t := &table{header: []string{"objects", "required", "limit", "figure", "verdict"}}
	for _, r := range all {
		t.row(count(r.Objects), r.What, r.Limit, r.Figure, r.Verdict)
	}
	return t
}

type tick struct {
	name              string
	product, baseline Cost
	again             bool // the product's cost is that of another tick of the list
}

func ticks(s Size) []tick {
	p, b := s.Product, s.Baseline
	return []tick{
		{name: "first push", product: p.First, baseline: b.First},
		{name: "first push, one by one", product: p.First, baseline: s.Loop, again: true},
		{name: "idle tick", product: p.Idle, baseline: b.Idle},
		{name: "one-object tick", product: p.One, baseline: b.One},
		{name: count(int(p.Many.Edited)) + "-object tick", product: p.Many, baseline: b.Many},
	}
}

// seconds has three digits and a unit that fits.
func seconds(s float64) string {
	switch {
	case s <= 0:
		return nothing
	case s < 0.9995:
		return digits(s*1e3) + " ms"
	default:
		return digits(s) + " s"
	}
}

func byteCount(n float64) string {
	switch {
	case n <= 0:
		return nothing
	case n < 1e3:
		return digits(n) + " B"
	case n < 1e6:
		return digits(n/1e3) + " kB"
	case n < 1e9:
		return digits(n/1e6) + " MB"
	default:
		return digits(n/1e9) + " GB"
	}
}

func ratio(of, to float64) string {
	if of <= 0 || to <= 0 {
		return nothing
	}
	return digits(of/to) + "×"
}

// digits shows three of them, and all of a whole number.
func digits(v float64) string {
	switch {
	case v >= 99.95:
		return fmt.Sprintf("%.0f", v)
	case v >= 9.995:
		return fmt.Sprintf("%.1f", v)
	default:
		return fmt.Sprintf("%.2f", v)
	}
}

// number is a count or a median of counts.
func number(v float64) string {
	if v == float64(int64(v)) {
		return count(int(v))
	}
	return digits(v)
}

// count has commas between thousands.
func count(n int) string {
	text := strconv.Itoa(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
