package bench

import "context"

// meter counts what goes over the wires between its start and its reading.
type meter struct {
	run    *run
	site   *site
	user   string // who talks to its API server
	branch branch

	tip                string
	audit, log         int64 // positions in the logs
	apiBytes, gitBytes int64
}

func (r *run) meter(on *site, user string, b branch) (meter, error) {
	m := meter{run: r, site: on, user: user, branch: b, apiBytes: on.wire.bytes.Load(), gitBytes: r.gitWire.bytes.Load()}
	var err error
	if m.audit, err = position(on.AuditLog()); err != nil {
		return m, err
	}
	if m.log, err = position(r.GitLog); err != nil {
		return m, err
	}
	m.tip, err = b.tip()
	return m, err
}

// read returns a cost without its times.
func (m meter) read(ctx context.Context) (Cost, error) {
	cost := Cost{
		APIBytes: float64(m.site.wire.bytes.Load() - m.apiBytes),
		GitBytes: float64(m.run.gitWire.bytes.Load() - m.gitBytes),
	}
	var err error
	if cost.APIRequests, err = auditedRequests(m.site.AuditLog(), m.audit, m.user); err != nil {
		return cost, err
	}
	if cost.GitRequests, err = gitRequests(m.run.GitLog, m.log, m.branch.repository); err != nil {
		return cost, err
	}
	tip, err := m.branch.tip()
	if err != nil || tip == m.tip {
		return cost, err
	}
	if cost.GitObjects, err = m.branch.received(ctx, m.tip, tip); err != nil || m.tip == "" {
		return cost, err
	}
	changed, err := m.branch.changed(ctx, m.tip, tip)
	cost.Changed = float64(changed)
	return cost, err
}
