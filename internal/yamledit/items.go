package yamledit

import (
	"encoding/json"
	"fmt"
	"slices"
)

// changeItems changes the items of a list: in place, out, in, and to another place.
func (e *editor) changeItems(c slot, n *node, old, want []any, depth int) {
	match := matchItems(old, want)
	if slices.Contains(e.lists, n) && len(old) == len(want) {
		for i := range match {
			match[i] = i
		}
	}
	stay := increasing(match)
	pairGaps(match, stay, old, want)
	l := newLayout(e, n)
	for i := range l.removed {
		l.removed[i] = true
	}
	behind := -1
	places := make([]int, len(want))
	for w := range want {
		if stay[w] {
			behind = match[w]
			l.removed[behind] = false
			e.change(n.slotOf(behind, c), n.entries[behind].value, old[behind], want[w], depth+1)
		}
		places[w] = behind
	}
	if l.remaining() == 0 {
		e.replace(c, n, old, want)
		return
	}
	for w := range want {
		if stay[w] {
			continue
		}
		text, ok := "", false
		if match[w] >= 0 {
			text, ok = e.moved(c, n, l, match[w], old[match[w]], want[w], depth)
		}
		if !ok {
			text = e.itemText(n, want[w], old)
		}
		l.insert(places[w], text)
	}
	l.apply()
}

// moved is the text of an item that goes to another place, with its own changes.
func (e *editor) moved(c slot, n *node, l *layout, i int, old, want any, depth int) (string, bool) {
	if n.style != flow && !ownLine(e.text, n.entries[i].start) {
		return "", false
	}
	within := &editor{document: e.document, mode: e.mode, aliases: e.aliases}
	within.change(n.slotOf(i, c), n.entries[i].value, old, want, depth+1)
	e.deepest = max(e.deepest, within.deepest)
	if within.failed {
		return "", false
	}
	return l.chunk(i, within.edits)
}

func (e *editor) itemText(n *node, value any, siblings []any) string {
	if n.style == flow {
		return e.printer().flow(value, e.indentAt(n.entries[0].start))
	}
	var order []string
	if len(siblings) > 0 {
		order = orderOf(n.entries[0].value)
	}
	return e.printer().item(value, n.column, order)
}

// associative are the fields that tell the items of lists apart, in Kubernetes and its extensions. Of those
// with several, only the first has to be there.
var associative = [][]string{
	{"name"}, {"key"}, {"containerPort", "protocol"}, {"port", "protocol"}, {"ip"}, {"mountPath"},
	{"devicePath"}, {"topologyKey"}, {"type"}, {"uid"},
}

// matchItems tells for each wanted item which of the old ones it is, -1 for none.
func matchItems(old, want []any) []int {
	for _, keys := range associative {
		from, ok := identities(old, keys)
		if !ok {
			continue
		}
		if to, ok := identities(want, keys); ok {
			return matchIdentities(from, to)
		}
	}
	return commonItems(old, want)
}

func matchIdentities(from, to []string) []int {
	index := make(map[string]int, len(from))
	for o, id := range from {
		index[id] = o
	}
	match := slices.Repeat([]int{-1}, len(to))
	for w, id := range to {
		if o, has := index[id]; has {
			match[w] = o
		}
	}
	return match
}

// identities are what items are told apart by; false where they aren't.
func identities(items []any, keys []string) ([]string, bool) {
	seen := make(map[string]bool, len(items))
	ids := make([]string, len(items))
	for i, item := range items {
		fields, _ := item.(map[string]any)
		switch fields[keys[0]].(type) {
		case string, int64:
		default:
			return nil, false
		}
		for _, key := range keys {
			ids[i] += fmt.Sprintf("%T %v\x00", fields[key], fields[key])
		}
		if seen[ids[i]] {
			return nil, false
		}
		seen[ids[i]] = true
	}
	return ids, true
}

// commonItems matches the longest common subsequence of equal items.
func commonItems(old, want []any) []int {
	from, to := contents(old), contents(want)
	match := slices.Repeat([]int{-1}, len(want))
	begin := 0
	for begin < min(len(from), len(to)) && from[begin] == to[begin] {
		match[begin] = begin
		begin++
	}
	end := 0
	for end < min(len(from), len(to))-begin && from[len(from)-1-end] == to[len(to)-1-end] {
		end++
		match[len(to)-end] = len(from) - end
	}
	from, to = from[begin:len(from)-end], to[begin:len(to)-end]
	const most = 4 << 20 // of memory and time; what is left then counts as changed
	if len(from)*len(to) > most {
		return match
	}
	for w, o := range longest(from, to) {
		if o >= 0 {
			match[begin+w] = begin + o
		}
	}
	return match
}

func contents(items []any) []string {
	out := make([]string, len(items))
	for i, item := range items {
		text, err := json.Marshal(item)
		if err != nil {
			text = fmt.Appendf(nil, "%d", i)
		}
		out[i] = string(text)
	}
	return out
}

// longest is the longest common subsequence: for each of to its index in from, or -1.
func longest(from, to []string) []int {
	lengths := make([][]int32, len(from)+1)
	for i := range lengths {
		lengths[i] = make([]int32, len(to)+1)
	}
	for i := len(from) - 1; i >= 0; i-- {
		for j := len(to) - 1; j >= 0; j-- {
			if from[i] == to[j] {
				lengths[i][j] = lengths[i+1][j+1] + 1
			} else {
				lengths[i][j] = max(lengths[i+1][j], lengths[i][j+1])
			}
		}
	}
	match := slices.Repeat([]int{-1}, len(to))
	for i, j := 0, 0; i < len(from) && j < len(to); {
		switch {
		case from[i] == to[j]:
			match[j] = i
			i, j = i+1, j+1
		case lengths[i+1][j] >= lengths[i][j+1]:
			i++
		default:
			j++
		}
	}
	return match
}

// increasing tells which of the matched items stay where they are: the most that keep their order.
func increasing(match []int) []bool {
	length, before := make([]int, len(match)), make([]int, len(match))
	best := -1
	for w, o := range match {
		if before[w] = -1; o < 0 {
			continue
		}
		length[w] = 1
		for v := range w {
			if match[v] >= 0 && match[v] < o && length[v] >= length[w] {
				length[w], before[w] = length[v]+1, v
			}
		}
		if best < 0 || length[w] > length[best] {
			best = w
		}
	}
	stay := make([]bool, len(match))
	for ; best >= 0; best = before[best] {
		stay[best] = true
	}
	return stay
}

// pairGaps lets items that are neither old nor elsewhere take the place of old ones that are gone, between the
// same neighbours, if they are alike: a container that got another name, an argument that got another value.
func pairGaps(match []int, stay []bool, old, want []any) {
	taken := make([]bool, len(old))
	for _, o := range match {
		if o >= 0 {
			taken[o] = true
		}
	}
	from := 0
	for w := range want {
		if stay[w] {
			from = match[w] + 1
			continue
		}
		if match[w] >= 0 {
			continue
		}
		until := len(old)
		for v := w + 1; v < len(want); v++ {
			if stay[v] {
				until = match[v]
				break
			}
		}
		for ; from < until; from++ {
			if !taken[from] && alike(old[from], want[w]) {
				match[w], stay[w], taken[from] = from, true, true
				from++
				break
			}
		}
	}
}

// alike: both are single values, or have at least half of what is in them in common.
func alike(old, want any) bool {
	same, size := 0, 0
	switch from := old.(type) {
	case map[string]any:
		to, ok := want.(map[string]any)
		if !ok {
			return false
		}
		for key, value := range from {
			other, has := to[key]
			if has && (equal(value, other) || len(from) == 1 && len(to) == 1) {
				same++
			}
		}
		size = max(len(from), len(to))
	case []any:
		to, ok := want.([]any)
		if !ok {
			return false
		}
		for _, o := range commonItems(from, to) {
			if o >= 0 {
				same++
			}
		}
		size = max(len(from), len(to))
	default:
		return !collection(want)
	}
	return same > 0 && 2*same >= size
}
