/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The control socket's table of verbs, and the verbs about the daemon itself. Requests come in already checked (control-request.c). */
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <config.h>
#include "bootsvc/control.h"
#include "bootsvc/events.h"
#include "bootsvc/failover.h"
#include "bootsvc/reload.h"
#include "libssi/base/cleanup.h"
#include "libssi/base/file.h"
#include "libssi/base/path.h"

static const struct { const char *verb; ssi_control_handler run; } verbs[] = {
	{ "status", control_status },
	{ "reload", control_reload },
	{ "stop", control_stop },
	{ "node.list", control_node_list },
	{ "node.show", control_node_show },
	{ "node.set", control_node_set },
	{ "node.power", control_node_power },
	{ "node.reboot", control_node_reboot },
	{ "node.drain", control_node_drain },
	{ "node.detach", control_node_detach },
	{ "node.fence", control_node_fence },
	{ "node.accept", control_node_accept },
	{ "node.failover", control_node_failover },
	{ "node.move", control_node_move },
	{ "machine.accept", control_machine_accept },
	{ "node.state.list", control_node_state_list },
	{ "node.state.snapshot", control_node_state_snapshot },
	{ "node.state.restore", control_node_state_restore },
	{ "node.state.rm", control_node_state_rm },
	{ "node.state.accept", control_node_state_accept },
	{ "machine.list", control_machine_list },
	{ "machine.rm", control_machine_rm },
	{ "events", control_events },
	{ "exec", control_exec },
	{ "jobs", control_jobs },
	{ "job.show", control_job_show },
	{ "job.signal", control_job_signal },
	{ "load", control_load },
	{ "policy.list", control_policy_list },
	{ "policy.show", control_policy_show },
	{ "procs", control_procs },
	{ "procs.signal", control_procs_signal },
	{ "procs.nice", control_procs_nice },
	{ "procs.affinity", control_procs_affinity },
};

static int control_open(struct daemon *d, const char *name, bool users, struct ssi_control_server **ret, struct ssi_err *e)
{
	_cleanup_free_ char *path = ssi_path_join(d->opt->run, name);
	int r = path ? ssi_control_listen(d->event, path, ret, e) : ssi_errno(e, -ENOMEM, "control socket");

	if (r >= 0 && users) {
		r = ssi_control_to_all(*ret);
		if (r < 0)
			ssi_errno(e, r, "%s", path);
	}
	for (size_t i = 0; r >= 0 && i < sizeof(verbs) / sizeof(*verbs); i++) {
		if (users && !ssi_control_for_users(verbs[i].verb))
			continue;
		r = ssi_control_register(*ret, verbs[i].verb, verbs[i].run, d);
		if (r < 0)
			return ssi_errno(e, r, "verb %s", verbs[i].verb);
	}
	return r;
}

int control_start(struct daemon *d, struct ssi_err *e)
{
	int r = control_open(d, "bootsvc.sock", false, &d->control, e);

	return r < 0 ? r : control_open(d, SSI_CONTROL_USERS, true, &d->users, e);
}

int control_nodes(struct daemon *d, const char *range, const struct ssi_node ***ret, size_t *ret_n, struct ssi_err *e)
{
	_cleanup_nodelist_ struct ssi_nodelist *list = NULL;
	_cleanup_free_ const struct ssi_node **nodes = NULL;
	size_t n = d->registry->n_nodes;
	int r;

	if (range) {
		r = ssi_nodelist_parse(range, &list, e);
		if (r < 0)
			return r;
		n = list->n;
	}
	nodes = calloc(n + 1, sizeof(*nodes));
	if (!nodes)
		return ssi_errno(e, -ENOMEM, "nodes");
	for (size_t i = 0; i < n; i++) {
		nodes[i] = list ? ssi_registry_node(d->registry, list->names[i]) : d->registry->nodes[i];
		if (!nodes[i])
			return ssi_errf(e, -ENOENT, "no node %s", list->names[i]);
	}
	*ret = TAKE_PTR(nodes);
	*ret_n = n;
	return 0;
}

json_t *control_node_result(const char *name, const char *error)
{
	json_t *o = json_pack("{s:s}", "name", name);

	if (error)
		json_object_set_new(o, "error", ssi_control_text(error));     /* a fence agent's words, or a node's */
	return o;
}

json_t *control_lines(const char *text)
{
	json_t *a = json_array();

	for (const char *s = text ?: "", *end; *s; s = *end ? end + 1 : end) {
		_cleanup_free_ char *line = NULL;

		end = strchrnul(s, '\n');
		line = end > s ? strndup(s, (size_t)(end - s)) : NULL;
		if (line)
			json_array_append_new(a, ssi_control_text(line));
	}
	return a;
}

static json_t *system_json(struct daemon *d, const struct ssi_system *s)
{
	struct ssi_head_totals t = { 0 };
	unsigned spares = 0;
	json_t *o;

	ssi_head_totals(d->head, s->name, &t);
	state_spare_count(d->state, s->name, &spares, NULL);
	o = json_pack("{s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:I, s:I, s:I, s:I, s:I}", "name", s->name, "nodes", t.nodes,
			 "joined", t.by_state[SSI_NODE_JOINED], "booting", t.by_state[SSI_NODE_BOOTING], "suspect", t.by_state[SSI_NODE_SUSPECT],
			 "detached", t.by_state[SSI_NODE_DETACHED], "fencing", t.by_state[SSI_NODE_FENCING],
			 "failed", t.by_state[SSI_NODE_FAILED], "off", t.by_state[SSI_NODE_OFF], "drained", t.drained,
			 "cpus", (json_int_t)t.cpus, "memory", (json_int_t)t.memory, "nics", (json_int_t)t.nics,
			 "accelerators", (json_int_t)t.accelerators, "view", (json_int_t)t.view);
	if (o) {
		json_object_set_new(o, "spares", json_integer(spares));
		json_object_set_new(o, "alarm", json_string(failover_alarm(d->failover, s->name)));
	}
	return o;
}

static json_int_t resident_bytes(void)
{
	unsigned long size, resident;
	char line[128];

	if (ssi_file_read_line("/proc/self/statm", line, sizeof(line)) < 0 || sscanf(line, "%lu %lu", &size, &resident) != 2)
		return 0;
	return (json_int_t)resident * sysconf(_SC_PAGESIZE);
}

int control_status(struct ssi_control_request *q, const json_t *args, void *userdata, struct ssi_err *e)
{
	struct daemon *d = userdata;
	json_t *systems = json_array();
	unsigned machines = 0, unbound = 0;
	int r = state_machine_count(d->state, &machines, &unbound, e);

	if (r < 0) {
		json_decref(systems);
		return r;
	}
	for (size_t i = 0; i < d->registry->n_systems; i++)
		json_array_append_new(systems, system_json(d, d->registry->systems[i]));
	ssi_control_ok(q, json_pack("{s:o, s:{s:i, s:s, s:I, s:I, s:i, s:i}}", "systems", systems, "daemon", "pid", (int)getpid(), "version", PACKAGE_VERSION,
				    "started", (json_int_t)d->started, "rss", resident_bytes(), "machines", machines, "unbound", unbound));
	return 0;
}

int control_reload(struct ssi_control_request *q, const json_t *args, void *userdata, struct ssi_err *e)
{
	struct daemon *d = userdata;
	_cleanup_buf_ struct ssi_buf errors = SSI_BUF_INIT;
	struct reload_stats s;

	if (reload_run(d, &s, &errors) < 0) {
		ssi_errf(e, -EINVAL, "nodes.d has mistakes; nothing was changed");
		ssi_control_fail(q, e, control_lines(errors.data), NULL);
		return 0;
	}
	events_add(d->events, "reload", "", "", 0, "%zu nodes: %zu added, %zu removed, %zu changed, in %llu ms", d->registry->n_nodes, s.added,
		   s.removed, s.changed, (unsigned long long)s.ms);
	ssi_control_ok(q, json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "systems", (json_int_t)d->registry->n_systems,
				    "nodes", (json_int_t)d->registry->n_nodes, "machines", (json_int_t)d->registry->n_machines,
				    "added", (json_int_t)s.added, "removed", (json_int_t)s.removed, "changed", (json_int_t)s.changed,
				    "ms", (json_int_t)s.ms));
	return 0;
}

int control_stop(struct ssi_control_request *q, const json_t *args, void *userdata, struct ssi_err *e)
{
	struct daemon *d = userdata;

	ssi_control_ok(q, NULL);
	sd_event_exit(d->event, 0);
	return 0;
}
