/* SPDX-License-Identifier: GPL-2.0-or-later */
/* procs, procs.signal, procs.nice, procs.affinity: the processes of the nodes, and acting on one of them, for whom the socket says it is. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "bootsvc/control.h"
#include "bootsvc/processes.h"
#include "libssi/base/cleanup.h"
#include "libssi/comm/procjson.h"

static bool is_asked_for(const struct ssi_node **nodes, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(nodes[i]->name, name) == 0)
			return true;
	return false;
}

/* Who comes by the socket for all gets his own: everybody's are in RUN/view, where they may be seen. */
int control_procs(struct ssi_control_request *q, const json_t *args, void *userdata, struct ssi_err *e)
{
	struct daemon *d = userdata;
	const char *range = json_string_value(json_object_get(args, "range"));
	_cleanup_free_ const struct ssi_node **nodes = NULL;
	_cleanup_buf_ struct ssi_buf b = SSI_BUF_INIT;
	uid_t uid = ssi_control_uid(q);
	bool own = ssi_control_from_all(q) && uid != 0;
	struct ssi_proctable t;
	json_t *list;
	size_t n;
	int r = control_nodes(d, range, &nodes, &n, e);

	if (r >= 0 && (r = processes_write(d, &b)) < 0)
		ssi_errno(e, r, "processes");
	if (r >= 0)
		r = ssi_proctable_read(b.data, b.len, &t, e);
	if (r < 0)
		return r;
	list = json_array();
	for (uint32_t i = 0; i < t.head->n; i++) {
		const struct ssi_proctable_process *p = &t.processes[i];

		if ((!range || is_asked_for(nodes, n, ssi_proctable_node(&t, p)->name)) && (!own || p->on_node.uid[1] == uid))
			json_array_append_new(list, ssi_procjson(&t, p));
	}
	ssi_control_ok(q, list);
	return 0;
}

/* One act, until its node has answered. */
struct act { struct daemon *daemon; struct ssi_control_request *request; uint32_t pid; };

static const char *reason(int error)
{
	switch (error) {
	case -ESRCH:
		return "no such process on the nodes";
	case -EPERM:
		return "it is another user's";
	case -EHOSTDOWN:
		return "its node is not heard of: whether it was done is not known";
	default:
		return strerror(-error);
	}
}

static json_t *mask_json(const uint64_t *mask, size_t n)
{
	char text[16 * SSI_PROCS_MASK + 1] = "0";

	while (n && !mask[n - 1])
		n--;
	for (size_t i = n, at = 0; i-- > 0;)
		at += (size_t)snprintf(text + at, sizeof(text) - at, i + 1 == n ? "%" PRIx64 : "%016" PRIx64, mask[i]);
	return json_string(text);
}

static void on_acted(int error, const uint64_t *mask, size_t n_mask, void *userdata)
{
	struct act *a = userdata;
	struct ssi_err e;

	if (error < 0) {
		ssi_errf(&e, error, "process %u: %s", a->pid, reason(error));
		ssi_control_fail(a->request, &e, NULL, json_pack("{s:i}", "errno", -error));
	} else
		ssi_control_ok(a->request, n_mask ? json_pack("{s:o}", "mask", mask_json(mask, n_mask)) : NULL);
	free(a);
}

static void on_gone(struct ssi_control_request *q, void *userdata)
{
	struct act *a = userdata;

	ssi_procs_act_forget(a->daemon->procs, a);
	free(a);
}

static int act(struct ssi_control_request *q, struct daemon *d, const json_t *args, struct ssi_procs_act *what)
{
	json_int_t pid = ssi_json_int(args, "pid");
	const char *node = pid < SSI_PID_END ? ssi_procs_node_of(d->procs, (uint32_t)pid) : NULL;
	struct ssi_ccm_conn *conn = node ? ssi_head_conn(d->head, node) : NULL;
	struct act *a = malloc(sizeof(*a));
	int r;

	if (!a)
		return -ENOMEM;
	*a = (struct act){ .daemon = d, .request = q, .pid = pid < SSI_PID_END ? (uint32_t)pid : 0 };
	what->pid = a->pid;
	what->uid = ssi_control_uid(q);
	r = !node ? -ESRCH : !conn ? -EHOSTUNREACH : ssi_procs_act(d->procs, conn, what, on_acted, a);
	if (r < 0)
		on_acted(r, NULL, 0, a);
	else
		ssi_control_watch(q, NULL, on_gone, a);
	return 0;
}

int control_procs_signal(struct ssi_control_request *q, const json_t *args, void *userdata, struct ssi_err *e)
{
	struct ssi_procs_act what = { .what = SSI_ACT_SIGNAL, .value = (int)ssi_json_int(args, "signal") };

	if (ssi_json_int(args, "signal") > 64)
		return ssi_errf(e, -EINVAL, "%lld is no signal", (long long)ssi_json_int(args, "signal"));
	return act(q, userdata, args, &what);
}

int control_procs_nice(struct ssi_control_request *q, const json_t *args, void *userdata, struct ssi_err *e)
{
	struct ssi_procs_act what = { .what = SSI_ACT_NICE, .value = (int)ssi_json_int(args, "nice") - 20 };

	if (ssi_json_int(args, "nice") > 39)
		return ssi_errf(e, -EINVAL, "nice is 0 (-20) to 39 (19)");
	return act(q, userdata, args, &what);
}

/* Hexadecimal, as taskset(1) has it. */
static int mask_parse(const char *s, uint64_t mask[SSI_PROCS_MASK], size_t *ret_n)
{
	size_t len = strlen(s);

	if (!len || len > 16 * SSI_PROCS_MASK || strspn(s, "0123456789abcdefABCDEF") != len)
		return -EINVAL;
	*ret_n = (len + 15) / 16;
	for (size_t i = 0; i < *ret_n; i++) {
		size_t end = len - 16 * i, from = end > 16 ? end - 16 : 0;
		char word[17];

		snprintf(word, sizeof(word), "%.*s", (int)(end - from), s + from);
		mask[i] = strtoull(word, NULL, 16);
	}
	return 0;
}

int control_procs_affinity(struct ssi_control_request *q, const json_t *args, void *userdata, struct ssi_err *e)
{
	const char *mask = json_string_value(json_object_get(args, "mask"));
	uint64_t words[SSI_PROCS_MASK];
	struct ssi_procs_act what = { .what = mask ? SSI_ACT_AFFINITY : SSI_ACT_GET_AFFINITY, .mask = words };

	if (mask && mask_parse(mask, words, &what.n_mask) < 0)
		return ssi_errf(e, -EINVAL, "mask: at most %u hexadecimal digits", 16 * SSI_PROCS_MASK);
	return act(q, userdata, args, &what);
}
