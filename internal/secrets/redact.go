package secrets

import (
	"cmp"
	"encoding/base64"
	"slices"
	"strings"
)

// Redact takes the values of a Secret out of a text, such as the answer of an admission webhook to it.
func Redact(text string, secret map[string]any) string {
	for _, value := range values(secret) {
		text = strings.ReplaceAll(text, value, "[redacted]")
	}
	return text
}

// values are the values of a Secret, encoded and not. What is too short to be found by chance in any text
// only would make that unreadable.
func values(secret map[string]any) []string {
	const shortest = 4
	var all []string
	for _, field := range []string{"data", "stringData"} {
		fields, _ := secret[field].(map[string]any)
		for _, value := range fields {
			text, _ := value.(string)
			for _, form := range []string{text, decoded(text)} {
				if form = strings.TrimSpace(form); len(form) >= shortest {
					all = append(all, form)
				}
			}
		}
	}
	// Longer ones first: a shorter one may be part of them.
	slices.SortFunc(all, func(a, b string) int { return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a, b)) })
	return all
}

func decoded(text string) string {
	plain, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return ""
	}
	return string(plain)
}
