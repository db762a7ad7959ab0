package bench

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// series is a line of the chart.
type series struct {
	name   string
	color  string // class of the style below
	dashed bool
	points []point
}

type point struct{ x, y float64 }

// costSeries are the CPU seconds of product and baseline against the size.
func costSeries(sizes []Size) []series {
	kinds := []struct {
		name, color string
		of          func(Costs) Cost
	}{
		{"first push", "first", func(c Costs) Cost { return c.First }},
		{"one-object tick", "one", func(c Costs) Cost { return c.One }},
		{"idle tick", "idle", func(c Costs) Cost { return c.Idle }},
	}
	var all []series
	for _, kind := range kinds {
		product := series{name: kind.name, color: kind.color}
		baseline := series{name: kind.name + ", kubectl+git", color: kind.color, dashed: true}
		for _, size := range sizes {
			product.add(size, kind.of(size.Product))
			baseline.add(size, kind.of(size.Baseline))
		}
		all = append(all, product, baseline)
	}
	return all
}

// add leaves out what wasn't measured; a logarithm knows no 0.
func (s *series) add(size Size, cost Cost) {
	if cost.CPU > 0 {
		s.points = append(s.points, point{float64(size.Objects), cost.CPU})
	}
}

// The chart's measures, in pixels.
const (
	chartWidth, chartHeight = 900, 520
	left, right             = 80, 600 // of the plot; names of the series are right of it
	top, bottom             = 70, 460
	nameHeight              = 17
)

// The colors have enough contrast on white and on GitHub's dark page.
const chartStyle = `
  svg { font-family: system-ui, sans-serif; font-size: 13px; background: #ffffff }
  .page { fill: #ffffff } text { fill: #24292f } .soft { fill: #57606a }
  .grid { stroke: #d0d7de; stroke-width: 1 }
  .line { fill: none; stroke-width: 2.5 } .dashed { stroke-dasharray: 7 5 }
  .first { stroke: #8250df } .one { stroke: #0969da } .idle { stroke: #1a7f37 }
  .dot { stroke-width: 2 } .dot.first { fill: #8250df } .dot.one { fill: #0969da } .dot.idle { fill: #1a7f37 }
  .dot.hollow { fill: #ffffff }
  .leader { stroke-width: 1; opacity: .45 }
  @media (prefers-color-scheme: dark) {
    svg { background: #0d1117 }
    .page { fill: #0d1117 } text { fill: #e6edf3 } .soft { fill: #8d96a0 }
    .grid { stroke: #30363d }
    .first { stroke: #bc8cff } .one { stroke: #58a6ff } .idle { stroke: #3fb950 }
    .dot.first { fill: #bc8cff } .dot.one { fill: #58a6ff } .dot.idle { fill: #3fb950 }
    .dot.hollow { fill: #0d1117 }
  }
`

// chart draws the series on logarithmic axes, as an SVG that depends on
// nothing and follows the reader's light or dark setting.
func chart(all []series, caption string) string {
	all = slices.DeleteFunc(slices.Clone(all), func(s series) bool { return len(s.points) == 0 })
	x, y := scales(all)
	var out strings.Builder
	fmt.Fprintf(&out, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img">`+"\n",
		chartWidth, chartHeight, chartWidth, chartHeight)
	fmt.Fprintf(&out, "<title>CPU time against the size of the cluster</title>\n<style>%s</style>\n", chartStyle)
	fmt.Fprintf(&out, `<rect class="page" width="%d" height="%d"/>`+"\n", chartWidth, chartHeight)
	fmt.Fprintf(&out, `<text x="%d" y="28" font-size="17" font-weight="600">CPU time against the size of the cluster</text>`+"\n", left)
	fmt.Fprintf(&out, `<text class="soft" x="%d" y="48">%s</text>`+"\n", left, escape(caption))
	drawGrid(&out, all, x, y)
	for _, s := range all {
		drawLine(&out, s, x, y)
	}
	drawNames(&out, all, x, y)
	out.WriteString("</svg>\n")
	return out.String()
}

// scale maps a range of decades to pixels.
type scale struct {
	low, high float64 // logarithms to base 10
	from, to  float64 // pixels
}

func (s scale) at(value float64) float64 {
	return s.from + (math.Log10(value)-s.low)/(s.high-s.low)*(s.to-s.from)
}

func scales(all []series) (x, y scale) {
	x = scale{low: math.Inf(1), high: math.Inf(-1), from: left, to: right}
	y = scale{low: math.Inf(1), high: math.Inf(-1), from: bottom, to: top}
	for _, s := range all {
		for _, p := range s.points {
			x.low, x.high = min(x.low, math.Log10(p.x)), max(x.high, math.Log10(p.x))
			y.low, y.high = min(y.low, math.Log10(p.y)), max(y.high, math.Log10(p.y))
		}
	}
	if len(all) == 0 { // an empty plot
		x.low, x.high, y.low, y.high = 3, 5, -3, 1
	}
	x.low, x.high = x.low-0.15, x.high+0.15
	y.low, y.high = math.Floor(y.low), math.Ceil(y.high)
	if y.low == y.high {
		y.high++
	}
	return x, y
}

func drawGrid(out *strings.Builder, all []series, x, y scale) {
	for decade := y.low; decade <= y.high; decade++ {
		at := y.at(math.Pow(10, decade))
		fmt.Fprintf(out, `<line class="grid" x1="%d" x2="%d" y1="%.1f" y2="%.1f"/>`+"\n", left, right, at, at)
		fmt.Fprintf(out, `<text class="soft" x="%d" y="%.1f" text-anchor="end">%s</text>`+"\n", left-10, at+4, decadeName(decade))
	}
	for _, size := range measuredSizes(all) {
		at := x.at(size)
		fmt.Fprintf(out, `<line class="grid" x1="%.1f" x2="%.1f" y1="%d" y2="%d"/>`+"\n", at, at, top, bottom)
		fmt.Fprintf(out, `<text class="soft" x="%.1f" y="%d" text-anchor="middle">%s</text>`+"\n", at, bottom+20, count(int(size)))
	}
	fmt.Fprintf(out, `<text x="%d" y="%d" text-anchor="middle">objects in the cluster</text>`+"\n", (left+right)/2, bottom+44)
}

// measuredSizes are those that any of the series has a point at.
func measuredSizes(all []series) []float64 {
	var sizes []float64
	for _, s := range all {
		for _, p := range s.points {
			sizes = append(sizes, p.x)
		}
	}
	slices.Sort(sizes)
	return slices.Compact(sizes)
}

// decadeName is a power of ten seconds.
func decadeName(decade float64) string {
	switch value := math.Pow(10, decade); {
	case decade < -3:
		return fmt.Sprintf("%g ms", value*1e3)
	case decade < 0:
		return fmt.Sprintf("%.0f ms", value*1e3)
	default:
		return fmt.Sprintf("%.0f s", value)
	}
}

func drawLine(out *strings.Builder, s series, x, y scale) {
	var path []string
	for _, p := range s.points {
		path = append(path, fmt.Sprintf("%.1f,%.1f", x.at(p.x), y.at(p.y)))
	}
	line, dot := "line "+s.color, "dot "+s.color
	if s.dashed {
		line, dot = line+" dashed", dot+" hollow"
	}
	fmt.Fprintf(out, `<polyline class="%s" points="%s"/>`+"\n", line, strings.Join(path, " "))
	for _, p := range s.points {
		fmt.Fprintf(out, `<circle class="%s" cx="%.1f" cy="%.1f" r="3.5"><title>%s: %s objects, %s</title></circle>`+"\n",
			dot, x.at(p.x), y.at(p.y), escape(s.name), count(int(p.x)), seconds(p.y))
	}
}

// drawNames writes each series' name and last figure beside its end, with
// enough space between them.
func drawNames(out *strings.Builder, all []series, x, y scale) {
	end := func(s series) point { return s.points[len(s.points)-1] }
	byHeight := slices.SortedFunc(slices.Values(all), func(a, b series) int {
		return int(math.Copysign(1, y.at(end(a).y)-y.at(end(b).y)))
	})
	lowest := math.Inf(-1)
	for _, s := range byHeight {
		from := y.at(end(s).y)
		at := max(from, lowest+nameHeight)
		lowest = at
		fmt.Fprintf(out, `<line class="leader %s" x1="%.1f" y1="%.1f" x2="%d" y2="%.1f"/>`+"\n", s.color, x.at(end(s).x)+5, from, right+14, at)
		fmt.Fprintf(out, `<text x="%d" y="%.1f">%s, %s</text>`+"\n", right+18, at+4, escape(s.name), seconds(end(s).y))
	}
}

var escape = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;").Replace
