package main

import (
	"fmt"
	"strings"

	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
)

// deployment opts into worker versioning where a deployment is named: Temporal then gives work only to the version
// that an operator has made the current one. Running enrolments move to it with their next step, because an
// enrolment lives for longer than any version; that every version can go on where another one stopped is what the
// replay tests are for.
func deployment(name, build string) (worker.DeploymentOptions, error) {
	if name == "" {
		if build != "" {
			return worker.DeploymentOptions{}, fmt.Errorf("--build-id %s is the version of a worker deployment: name that with --deployment-name", build)
		}
		return worker.DeploymentOptions{}, nil
	}
	if build == "" {
		build = version
	}
	if strings.ContainsAny(name, ".:") {
		return worker.DeploymentOptions{}, fmt.Errorf("--deployment-name %q: Temporal takes names without '.' and ':'", name)
	}
	return worker.DeploymentOptions{
		UseVersioning:             true,
		Version:                   worker.WorkerDeploymentVersion{DeploymentName: name, BuildID: build},
		DefaultVersioningBehavior: workflow.VersioningBehaviorAutoUpgrade,
	}, nil
}
