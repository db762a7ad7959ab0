package assets

import (
	"fmt"
	"strings"
	"testing"
)

func TestModulesPinTheVersionThatIsStamped(t *testing.T) {
	text, err := modules.ReadFile("modules/kubernetes.mod")
	if err != nil {
		t.Fatal(err)
	}
	if want := "k8s.io/kubernetes v" + KubernetesVersion + " "; !strings.Contains(string(text), want) {
		t.Errorf("modules/kubernetes.mod does not require %s", want)
	}
}

func TestBuildTellsWhatItDoesAndWhatWentWrong(t *testing.T) {
	var steps []string
	report := func(format string, args ...any) {
		steps = append(steps, fmt.Sprintf(format, args...))
	}
	last := reportBuild(strings.NewReader("go: downloading a v1\nk8s.io/api\n# k8s.io/bad\nbad.go:1: no\n"), "etcd", report)
	if len(steps) != 4 {
		t.Errorf("%d steps are told, want one for each line: %q", len(steps), steps)
	}
	if !strings.HasSuffix(last, "# k8s.io/bad\nbad.go:1: no") {
		t.Errorf("the end of the output is %q", last)
	}
}
