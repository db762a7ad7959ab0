package yamledit

import (
	"slices"
	"strings"
)

// layout takes entries out of a collection and puts others in.
type layout struct {
	e       *editor
	n       *node
	removed []bool
	// inserts are texts to put behind an entry that stays, by its index; -1 is before the first that stays.
	// Lines of a text but the first are indented as they have to be.
	inserts map[int][]string
}

func newLayout(e *editor, n *node) *layout {
	return &layout{e: e, n: n, removed: make([]bool, len(n.entries)), inserts: map[int][]string{}}
}

func (l *layout) remaining() int {
	count := 0
	for _, gone := range l.removed {
		if !gone {
			count++
		}
	}
	return count
}

// insert adds a text behind an entry, or before the first one that stays where that one is taken out.
func (l *layout) insert(behind int, text string) {
	for behind >= 0 && l.removed[behind] {
		behind--
	}
	l.inserts[behind] = append(l.inserts[behind], text)
}

// place is the entry to put a new key behind: where its siblings are sorted in its place, else the last. It comes
// behind what is merged into the map: that would overwrite it.
func (l *layout) place(names []string, key string) int {
	var stay []string
	var index []int
	last, merges := len(names)-1, -1
	for i, name := range names {
		switch {
		case l.removed[i]:
		case l.n.entries[i].merge():
			merges = i
		default:
			stay, index = append(stay, name), append(index, i)
		}
	}
	if len(stay) < 2 || !slices.IsSorted(stay) {
		return last
	}
	switch i, _ := slices.BinarySearch(stay, key); {
	case i == len(stay):
		return last
	case i == 0:
		return max(index[0]-1, merges)
	default:
		return max(index[i-1], merges)
	}
}

func (l *layout) apply() {
	if l.n.style == flow {
		l.applyFlow()
		return
	}
	first := slices.Index(l.removed, false)
	inline := !ownLine(l.e.text, l.n.entries[0].start)
	if inline && first > 0 {
		// The dash stays: the next entry moves up to it.
		l.e.replaceText(l.n.entries[0].start, l.skipLines(l.tail(first-1)), "")
	}
	for i := 0; i < len(l.removed); i++ {
		if l.removed[i] && (!inline || i > first) {
			i = l.cut(i)
		}
	}
	lineBreak := "\n" + strings.Repeat(" ", l.n.column)
	for behind, texts := range l.inserts {
		all := strings.Join(texts, lineBreak)
		switch {
		case behind >= 0:
			end := l.tail(behind)
			l.e.edits = append(l.e.edits, edit{end, end, lineBreak + all})
		case inline || l.n == l.e.root && first == 0:
			at := l.n.entries[0].start
			l.e.edits = append(l.e.edits, edit{at, at, all + lineBreak})
		default:
			at := l.head(first)
			l.e.edits = append(l.e.edits, edit{at, at, lineBreak[1:] + all + "\n"})
		}
	}
}

// skipLines is where the next text or comment begins.
func (l *layout) skipLines(at int) int {
	for at < len(l.e.text) && isSpace(rune(l.e.text[at])) {
		at++
	}
	return at
}

// cut takes the lines of an entry out, with the comments that are about it; of the line breaks the one before
// them, as texts are inserted behind the line that an entry ends on. At the top of the text there is none: there
// it takes what follows out as well, and returns the last one that it took.
func (l *layout) cut(i int) int {
	start, end := l.head(i), l.tail(i)
	if start > 0 {
		start = lineEnd(l.e.text, lineStart(l.e.text, start-1))
	} else {
		for end = nextLine(l.e.text, end); i+1 < len(l.removed) && l.removed[i+1] && l.head(i+1) == end; i++ {
			end = nextLine(l.e.text, l.tail(i+1))
		}
	}
	l.e.edits = append(l.e.edits, edit{start, end, ""})
	return i
}

// head is the start of the line from which on an entry's text and the comments about it stand: those directly
// above it, in its column. What is on top of a document is about the document.
func (l *layout) head(i int) int {
	start := l.n.entries[i].start
	if !ownLine(l.e.text, start) {
		return start
	}
	line := lineStart(l.e.text, start)
	if l.n == l.e.root && i == 0 {
		return line
	}
	for line > 0 {
		above := lineStart(l.e.text, line-1)
		indent := len(leading(l.e.text, above))
		if indent != l.n.column || above+indent >= len(l.e.text) || l.e.text[above+indent] != '#' {
			break
		}
		line = above
	}
	return line
}

// tail is where the last line of an entry ends, or that of a comment below that is indented deeper.
func (l *layout) tail(i int) int {
	text := l.e.text
	end := lineEnd(text, l.n.entries[i].value.end)
	for line := nextLine(text, end); line < len(text); line = nextLine(text, line) {
		indent := len(leading(text, line))
		switch at := line + indent; {
		case at == lineEnd(text, line):
		case text[at] == '#' && indent > l.n.column:
			end = lineEnd(text, line)
		default:
			return end
		}
	}
	return end
}

// chunk is the text of an entry with the comments about it, as it can be put elsewhere in the collection.
func (l *layout) chunk(i int, edits []edit) (string, bool) {
	start, end := l.n.entries[i].start, l.n.entries[i].value.end
	if l.n.style != flow {
		if start, end = l.head(i), l.tail(i); ownLine(l.e.text, l.n.entries[i].start) {
			start += l.n.column
		}
	}
	var inside []edit
	for _, change := range edits {
		if change.start < start || change.end > end {
			return "", false
		}
		inside = append(inside, edit{change.start - start, change.end - start, change.text})
	}
	text := splice(l.e.text[start:end], inside, false)
	return strings.ReplaceAll(string(text), "\r\n", "\n"), true
}

func (l *layout) applyFlow() {
	entries := l.n.entries
	first := slices.Index(l.removed, false)
	for i, gone := range l.removed {
		switch {
		case gone && i < first:
			l.e.replaceText(entries[i].start, entries[i+1].start, "")
		case gone:
			l.e.replaceText(entries[i-1].value.end, entries[i].value.end, "")
		}
	}
	separator := l.separator()
	for behind, texts := range l.inserts {
		all := strings.Join(texts, separator)
		if behind >= 0 {
			end := entries[behind].value.end
			l.e.edits = append(l.e.edits, edit{end, end, separator + all})
		} else {
			at := entries[first].start
			l.e.edits = append(l.e.edits, edit{at, at, all + separator})
		}
	}
}

// separator is what stands between two entries of a flow collection.
func (l *layout) separator() string {
	entries := l.n.entries
	space := " "
	if len(entries) > 1 {
		if gap := string(l.e.text[entries[0].value.end:entries[1].start]); strings.Trim(gap, " \t\r\n") == "," {
			space = gap[strings.IndexByte(gap, ',')+1:]
		}
	} else if before := string(l.e.text[l.n.content+1 : entries[0].start]); strings.Contains(before, "\n") && strings.TrimSpace(before) == "" {
		space = before
	} else if l.e.json && l.n.kind == mapping && entries[0].value.start == entries[0].after {
		space = ""
	}
	return "," + strings.ReplaceAll(space, "\r\n", "\n")
}
