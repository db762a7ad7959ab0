package merge

// Fields that only make sense in some combinations: an API server refuses the others. Neither OpenAPI nor
// server-side apply knows of them, so they are named here, for the built-in kinds and for all that embed a pod
// template. A group is for structs that have its first two fields.
var (
	// alternatives: at most one of each may be set.
	alternatives = [][]string{
		{"value", "valueFrom"},
		{"configMapKeyRef", "secretKeyRef", "fieldRef", "resourceFieldRef", "fileKeyRef"},
		{"exec", "httpGet", "tcpSocket", "grpc", "sleep"},
		{"minAvailable", "maxUnavailable"},
		{"service", "resource"},
		{"service", "url"},
		{
			"hostPath", "csi", "awsElasticBlockStore", "azureDisk", "azureFile", "cephfs", "cinder", "configMap",
			"downwardAPI", "emptyDir", "ephemeral", "fc", "flexVolume", "flocker", "gcePersistentDisk", "gitRepo",
			"glusterfs", "image", "iscsi", "local", "nfs", "persistentVolumeClaim", "photonPersistentDisk",
			"portworxVolume", "projected", "quobyte", "rbd", "scaleIO", "secret", "storageos", "vsphereVolume",
		},
	}
	// typed: the first says which of the others may be set.
	typed = [][]string{
		{"type", "rollingUpdate"},
		{"type", "localhostProfile"},
		{
			"type", "externalName", "loadBalancerClass", "allocateLoadBalancerNodePorts", "externalTrafficPolicy",
			"healthCheckNodePort",
		},
	}
)

// bound are the fields that have to be taken from one side together: both sides changed them, and set different
// ones of them.
func bound(t Type, base, git, cluster map[string]any) map[string]bool {
	var together map[string]bool
	bind := func(group []string) {
		if agree(group, git, cluster, isSet) || agree(group, base, git, same) || agree(group, base, cluster, same) {
			return
		}
		if together == nil {
			together = map[string]bool{}
		}
		for _, name := range group {
			together[name] = true
		}
	}
	for _, group := range alternatives {
		if t.knows(group[0], group[1]) {
			bind(group)
		}
	}
	for _, group := range typed {
		if name := group[0]; t.knows(name, group[1]) && !same(at(git, name), at(cluster, name)) {
			bind(group)
		}
	}
	return together
}

// agree: each of the fields is alike in both maps.
func agree(group []string, a, b map[string]any, alike func(a, b any) bool) bool {
	for _, name := range group {
		if !alike(at(a, name), at(b, name)) {
			return false
		}
	}
	return true
}

// isSet: both are, or neither.
func isSet(a, b any) bool { return (a == none) == (b == none) }
