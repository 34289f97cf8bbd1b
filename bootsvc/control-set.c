/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * node.set: bindings into the store, every other key into nodes.d/90-set-NODE.ini. That file is checked together with all the rest before it is
 * written, so a wrong value changes nothing; an empty value takes the key out of it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "bootsvc/control.h"
#include "bootsvc/discovery.h"
#include "bootsvc/reload.h"
#include "libssi/base/cleanup.h"
#include "libssi/base/file.h"
#include "libssi/base/path.h"

#define DROP_IN_MAX (64u << 10)

struct setting {
	struct daemon *daemon;
	struct ssi_control_request *request;
	const json_t *keys;              /* without machine */
	const char *machine;             /* NULL: not asked for */
};

/* The line of key in a drop-in of ours: it has one section and no other form than the one written here. */
static void add_kept_lines(struct ssi_buf *to, const char *old, const json_t *keys)
{
	for (const char *s = old, *end; *s; s = *end ? end + 1 : end) {
		size_t key = strcspn(s, " =\n");

		end = strchrnul(s, '\n');
		if (*s != '[' && *s != '#' && key > 0 && !json_object_getn(keys, s, key))
			ssi_buf_addf(to, "%.*s\n", (int)(end - s), s);
	}
}

/* nodes.d knows no quoting (libssi/model/conf.c). */
static bool begins_comment(const char *value)
{
	for (const char *p = value; (p = strpbrk(p, "#;")); p++)
		if (p == value || p[-1] == ' ' || p[-1] == '\t')
			return true;
	return false;
}

static int drop_in_text(const char *node, const char *old, const json_t *keys, struct ssi_buf *to, struct ssi_err *e)
{
	const char *key;
	json_t *v;

	ssi_buf_addf(to, "# Written by 'ssi node set'.\n[node %s]\n", node);
	add_kept_lines(to, old, keys);
	json_object_foreach((json_t *)keys, key, v) {
		if (strpbrk(key, "\r\n=[]#; ") || strpbrk(json_string_value(v), "\r\n"))
			return ssi_errf(e, -EINVAL, "%s: a key or value must not have line ends or brackets in it", key);
		if (begins_comment(json_string_value(v)))
			return ssi_errf(e, -EINVAL, "%s: a '#' or ';' after a blank begins a comment in nodes.d, the value would end there", key);
		if (*json_string_value(v))
			ssi_buf_addf(to, "%s = %s\n", key, json_string_value(v));
	}
	return to->err ? ssi_errno(e, to->err, "%s", node) : 0;
}

/* The drop-ins of all nodes of a request: made first, checked together, then written. */
struct drop_ins { struct config_draft *draft; size_t n; };

static void drop_ins_free(struct drop_ins *d)
{
	for (size_t i = 0; i < d->n; i++) {
		free((char *)d->draft[i].name);
		free((char *)d->draft[i].text);
	}
	free(d->draft);
}

static int make_one(struct setting *s, const char *node, struct config_draft *ret, struct ssi_err *e)
{
	_cleanup_buf_ struct ssi_buf text = SSI_BUF_INIT, name = SSI_BUF_INIT;
	_cleanup_free_ char *path = NULL, *old = NULL;
	int r = ssi_buf_addf(&name, "90-set-%s.ini", node);

	path = r < 0 ? NULL : ssi_path_join(s->daemon->opt->config, name.data);
	if (!path)
		return ssi_errno(e, -ENOMEM, "%s", node);
	r = ssi_file_read(path, DROP_IN_MAX, &old, NULL);
	if (r < 0 && r != -ENOENT)
		return ssi_errno(e, r, "%s", path);
	r = drop_in_text(node, old ?: "", s->keys, &text, e);
	if (r < 0)
		return r;
	*ret = (struct config_draft) { ssi_buf_take(&name), ssi_buf_take(&text) };
	return ret->name && ret->text ? 0 : ssi_errno(e, -ENOMEM, "%s", node);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct config_draft *)a)->name, ((const struct config_draft *)b)->name);
}

static int write_one(struct setting *s, const struct config_draft *d, struct ssi_err *e)
{
	_cleanup_free_ char *path = ssi_path_join(s->daemon->opt->config, d->name);
	int r = path ? ssi_file_write_atomic(path, d->text, strlen(d->text), 0644) : -ENOMEM;

	return r < 0 ? ssi_errno(e, r, "%s/%s", s->daemon->opt->config, d->name) : 0;
}

/* 1: the mistakes were answered. */
static int answer_mistakes(struct setting *s, int r, const char *what, const struct ssi_buf *errors, struct ssi_err *e)
{
	ssi_errf(e, r, "%s", what);
	ssi_control_fail(s->request, e, control_lines(errors->data), NULL);
	return 1;
}

/* What was asked for must be what counts: another file may stand later. */
static int check_effect(struct setting *s, const struct ssi_registry *reg, const struct ssi_node **nodes, size_t n, struct ssi_err *e)
{
	const char *key;
	json_t *v;

	for (size_t i = 0; i < n; i++) {
		const struct ssi_node *would = ssi_registry_node(reg, nodes[i]->name);

		json_object_foreach((json_t *)s->keys, key, v) {
			const struct ssi_origin *from = config_origin(would, key);

			if (*json_string_value(v) && !strstr(from->file, "/90-set-"))
				return ssi_errf(e, -EEXIST, "%s:%u stands later and sets %s of %s: change it there; nothing was changed", from->file,
						from->line, key, would->name);
		}
	}
	return 0;
}

static int set_keys(struct setting *s, const struct ssi_node **nodes, size_t n, struct ssi_err *e)
{
	SSI_CLEANUP(drop_ins_free) struct drop_ins all = { calloc(n + 1, sizeof(*all.draft)), 0 };
	_cleanup_registry_ struct ssi_registry *would = NULL;
	_cleanup_buf_ struct ssi_buf errors = SSI_BUF_INIT;
	struct reload_stats stats;
	int r = all.draft ? 0 : ssi_errno(e, -ENOMEM, "nodes");

	for (size_t i = 0; r == 0 && i < n; i++) {
		r = make_one(s, nodes[i]->name, &all.draft[i], e);
		all.n = i + 1;
	}
	if (r < 0)
		return r;
	qsort(all.draft, all.n, sizeof(*all.draft), by_name);
	r = reload_try(s->daemon, all.draft, &would, &errors);
	if (r < 0)
		return answer_mistakes(s, r, "nodes.d would have mistakes; nothing was changed", &errors, e);
	r = check_effect(s, would, nodes, n, e);
	for (size_t i = 0; r == 0 && i < all.n; i++)
		r = write_one(s, &all.draft[i], e);
	if (r < 0)
		return r;
	r = reload_run(s->daemon, &stats, &errors);
	return r < 0 ? answer_mistakes(s, r, "nodes.d has mistakes", &errors, e) : 0;
}

/* The node that nodes.d fixes a machine to, or NULL. */
static const struct ssi_node *fixed_to(const struct ssi_registry *reg, const char *mac)
{
	for (size_t i = 0; i < reg->n_nodes; i++)
		if (strcmp(reg->nodes[i]->machine, mac) == 0)
			return reg->nodes[i];
	return NULL;
}

/* The machine asked for ("" = none), if n may have it by node.set: a binding that nodes.d fixes would be back with the next start. */
static int read_machine(struct setting *s, const struct ssi_node *n, char ret[SSI_MAC_LEN], struct ssi_err *e)
{
	const struct ssi_node *fixed = n->machine[0] ? n : NULL;

	ret[0] = '\0';
	if (*s->machine && ssi_mac_parse(s->machine, ret) < 0)
		return ssi_errf(e, -EINVAL, "machine=%s: no Ethernet address", s->machine);
	if (*s->machine)
		fixed = fixed_to(s->daemon->registry, ret);
	if (fixed && (fixed != n || !*s->machine))
		return ssi_errf(e, -EINVAL, "%s:%u fixes the machine of %s: take 'machine' out there, then 'ssi-bootsvc reload'",
				config_origin(fixed, "machine")->file, config_origin(fixed, "machine")->line, fixed->name);
	return 0;
}

/* All that is asked for, or nothing: the binding comes last, because the keys can be refused. */
static int set_all(struct setting *s, const struct ssi_node **nodes, size_t n, json_t *keys, struct ssi_err *e)
{
	char node[64] = "", mac[SSI_MAC_LEN] = "";
	int r = s->machine ? read_machine(s, nodes[0], mac, e) : 0;

	if (r < 0)
		return r;
	if (s->machine)
		r = discovery_may_bind(s->daemon, nodes[0]->name, mac[0] ? mac : NULL, e);
	if (r < 0)
		return r;
	if (s->machine && nodes[0]->machine[0])          /* fixed in nodes.d: changed there */
		r = json_object_set_new(keys, "machine", json_string(mac)) < 0 ? ssi_errno(e, -ENOMEM, "%s", nodes[0]->name) : 0;
	else if (s->machine)
		strcpy(node, nodes[0]->name);
	if (r == 0 && json_object_size(keys))
		r = set_keys(s, nodes, n, e);
	if (r != 0 || !node[0])
		return r;
	r = discovery_bind(s->daemon, node, mac[0] ? mac : NULL, "asked for by ssi node set", e);
	return r < 0 ? r : 0;
}

int control_node_set(struct ssi_control_request *q, const json_t *args, void *userdata, struct ssi_err *e)
{
	struct daemon *d = userdata;
	_cleanup_json_ json_t *keys = json_copy(json_object_get(args, "set"));
	_cleanup_free_ const struct ssi_node **nodes = NULL;
	struct setting s = { d, q, keys, json_string_value(json_object_get(json_object_get(args, "set"), "machine")) };
	json_t *answer = json_array();
	size_t n;
	int r = control_nodes(d, ssi_json_str(args, "range"), &nodes, &n, e);

	if (r == 0 && s.machine && n != 1)
		r = ssi_errf(e, -EINVAL, "machine= is for one node at a time");
	/* The nodes' own structs end with the registry that a reload replaces: the names are needed after it. */
	for (size_t i = 0; r == 0 && i < n; i++)
		json_array_append_new(answer, json_pack("{s:s, s:b}", "name", nodes[i]->name, "changed", 1));
	json_object_del(keys, "machine");
	if (r == 0)
		r = set_all(&s, nodes, n, keys, e);
	if (r == 0)
		ssi_control_ok(q, answer);
	else
		json_decref(answer);
	return r < 0 ? r : 0;
}
