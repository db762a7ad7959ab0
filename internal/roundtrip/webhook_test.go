package roundtrip

import (
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admission/v1"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
)

// startWebhook serves a mutating webhook that adds a label and a container to Deployments. It returns the
// address, and the certificate authority in the form that a caBundle has.
func startWebhook(t *testing.T) (url, ca string) {
	server := httptest.NewTLSServer(http.HandlerFunc(mutate))
	t.Cleanup(server.Close)
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	return server.URL, base64.StdEncoding.EncodeToString(certificate)
}

const sidecarImage = "registry.example.com/sidecar:1"

func mutate(w http.ResponseWriter, r *http.Request) {
	var review admissionv1.AdmissionReview
	var deployment appsv1.Deployment
	if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if err := json.Unmarshal(review.Request.Object.Raw, &deployment); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	patch := []map[string]any{{"op": "add", "path": "/metadata/labels/injected", "value": "yes"}}
	if containers := deployment.Spec.Template.Spec.Containers; containers[len(containers)-1].Image != sidecarImage {
		patch = append(patch, map[string]any{
			"op": "add", "path": "/spec/template/spec/containers/-",
			"value": map[string]any{"name": "sidecar", "image": sidecarImage},
		})
	}
	text, err := json.Marshal(patch)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	kind := admissionv1.PatchTypeJSONPatch
	review.Response = &admissionv1.AdmissionResponse{UID: review.Request.UID, Allowed: true, Patch: text, PatchType: &kind}
	review.Request = nil
	review.TypeMeta = metav1.TypeMeta{APIVersion: "admission.k8s.io/v1", Kind: "AdmissionReview"}
	_ = json.NewEncoder(w).Encode(review) // the API server tells
}

// awaitAdmission waits until the API server has noticed the webhook and the policy that change objects.
func (s *side) awaitAdmission(t *testing.T) {
	t.Helper()
	for _, probe := range []struct {
		text string
		at   []any
	}{
		{`{apiVersion: v1, kind: ConfigMap, metadata: {name: probe, namespace: shop, labels: {stamp: wanted}}}`,
			[]any{"metadata", "annotations", "example.com/stamped-by"}},
		{`{apiVersion: apps/v1, kind: Deployment, metadata: {name: probe, namespace: shop, labels: {sidecar: wanted}},
		   spec: {selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: a, image: a}]}}}}`,
			[]any{"metadata", "labels", "injected"}},
	} {
		documents, problems := manifest.Decode("probe", []byte(probe.text))
		require.Empty(t, problems)
		u := &unstructured.Unstructured{Object: documents[0].Object}
		o := object{Resource: s.resource(t, u.Object), id: manifest.IDOf(u.Object)}
		until(t, "admission of "+o.id.String(), func() bool {
			answer, err := s.of(o).Create(t.Context(), u, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
			return err == nil && at(answer.Object, probe.at...) != nil
		})
	}
}
