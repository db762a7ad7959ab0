package main

import (
	"context"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

func setIgnoredNamespacesCommand(t *terminal) *cli.Command {
	return &cli.Command{
		Name:      "set-ignored-namespaces",
		Usage:     "change which namespaces are left out",
		UsageText: "starter set-ignored-namespaces CLUSTER NS… | --add NS… | --remove NS…",
		Description: `Replaces the whole list, or adds to it and removes from it. What is in an ignored namespace is left as it is
on both sides. Namespace active-cluster-sync is always left out.

Examples:
  starter set-ignored-namespaces primary kube-system kube-public kube-node-lease monitoring
  starter set-ignored-namespaces primary --add scratch --remove monitoring`,
		Flags: append([]cli.Flag{
			&cli.StringSliceFlag{Name: "add", Usage: "`NS` to leave out from now on; may be repeated"},
			&cli.StringSliceFlag{Name: "remove", Usage: "`NS` to sync from now on; may be repeated"},
		}, outputFlags()...),
		Action: func(c *cli.Context) error {
			cluster, err := clusterName(c)
			if err != nil {
				return err
			}
			wanted := namespaces{list: c.Args().Tail(), add: c.StringSlice("add"), remove: c.StringSlice("remove")}
			if err := wanted.validate(cluster); err != nil {
				return err
			}
			output, err := formatOf(c)
			if err != nil {
				return err
			}
			return setIgnoredNamespaces(c.Context, t, cluster, wanted, output)
		},
	}
}

func setIgnoredNamespaces(ctx context.Context, t *terminal, cluster string, wanted namespaces, output format) error {
	r, err := openRegistry(ctx)
	if err != nil {
		return err
	}
	defer r.close()
	list := wanted.list
	if len(list) == 0 {
		now, err := r.status(ctx, cluster)
		if err != nil {
			return err
		}
		list = wanted.applyTo(now.IgnoredNamespaces)
	}
	slices.Sort(list)
	return change{
		cluster: cluster, output: output,
		message: workflows.SetIgnoredNamespacesMessage,
		args:    []any{workflows.SetIgnoredNamespaces{Namespaces: slices.Compact(list)}},
		done: func(s workflows.Status) string {
			return "ignored namespaces are " + orDash(strings.Join(s.IgnoredNamespaces, ", "))
		},
	}.send(ctx, t, r)
}

// namespaces are what the command line asks for: a list, or changes of the list that there is.
type namespaces struct{ list, add, remove []string }

func (n namespaces) validate(cluster string) error {
	changes := len(n.add) + len(n.remove)
	switch {
	case len(n.list) == 0 && changes == 0:
		return misuse("no namespace is given: starter set-ignored-namespaces %s NS… (the whole list), --add NS or --remove NS", cluster)
	case len(n.list) > 0 && changes > 0:
		return misuse("give either the whole list of namespaces, or --add and --remove")
	}
	for _, both := range n.add {
		if slices.Contains(n.remove, both) {
			return misuse("namespace %s can't be added and removed at once", both)
		}
	}
	return asMisuse(workflows.ValidateNamespaces(slices.Concat(n.list, n.add, n.remove)))
}

func (n namespaces) applyTo(list []string) []string {
	list = append(slices.Clone(list), n.add...)
	return slices.DeleteFunc(list, func(ns string) bool { return slices.Contains(n.remove, ns) })
}
