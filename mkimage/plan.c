/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From a recipe to a list of operations. Called by build.c and the unit test. A key is a digest over a word for the kind of step, a
 * version of what the step does (raise it when its code changes what comes out), and every input, each ended by a NUL.
 */
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include "libssi/base/tty.h"
#include "mkimage/plan.h"

#define STEP_BOOTSTRAP "bootstrap 1"
#define STEP_INITRAMFS "initramfs 5"
#define STEP_ROOT "root 1"

static const char *const names[OPS] = {
	[OP_BOOTSTRAP] = "bootstrap", [OP_UNPACK] = "unpack", [OP_INITRAMFS] = "initramfs", [OP_PROGRAMS] = "programs",
	[OP_OVERLAY] = "overlay", [OP_SERVICES] = "services", [OP_MODULES] = "modules", [OP_CLEAN] = "clean",
	[OP_ROOT] = "root", [OP_VERITY] = "verity", [OP_PUBLISH] = "publish",
};

const char *op_name(enum op_type t)
{
	return names[t];
}

static void add_text(struct ssi_hash *h, const char *s)
{
	ssi_hash_adds(h, s ? s : "");
}

static void add_list(struct ssi_hash *h, const struct list *l)
{
	for (size_t i = 0; i < l->n; i++)
		ssi_hash_adds(h, l->words[i].text);
	ssi_hash_adds(h, "");
}

static int key_bootstrap(const struct recipe *r, const struct inputs *in, char ret[SSI_HASH_HEX])
{
	struct ssi_hash *h = ssi_hash_new();

	if (!h)
		return -ENOMEM;
	add_text(h, STEP_BOOTSTRAP);
	add_text(h, r->source == RECIPE_DEBIAN ? "debian" : "directory");
	add_text(h, in->source);
	add_text(h, r->suite);
	add_text(h, r->kernel);
	add_list(h, &r->packages);
	ssi_hash_end(h, ret);
	return 0;
}

static int key_initramfs(const struct recipe *r, const struct inputs *in, const char *bootstrap, char ret[SSI_HASH_HEX])
{
	struct ssi_hash *h = ssi_hash_new();

	if (!h)
		return -ENOMEM;
	add_text(h, STEP_INITRAMFS);
	add_text(h, bootstrap);
	add_text(h, in->init);
	add_text(h, in->init_tool);
	add_text(h, in->epoch);
	add_list(h, &r->drivers);
	add_list(h, &r->modules);
	add_text(h, r->trim ? "trim" : "");
	add_text(h, r->iscsi ? "iscsi" : "");
	ssi_hash_end(h, ret);
	return 0;
}

static int key_root(const struct recipe *r, const struct inputs *in, const char *bootstrap, char ret[SSI_HASH_HEX])
{
	struct ssi_hash *h = ssi_hash_new();

	if (!h)
		return -ENOMEM;
	add_text(h, STEP_ROOT);
	add_text(h, bootstrap);
	add_text(h, in->programs);
	add_text(h, in->overlay);
	add_text(h, in->root_tool);
	add_text(h, in->epoch);
	add_list(h, &r->drop);
	add_list(h, &r->remove);
	add_list(h, &r->enable);
	add_list(h, &r->disable);
	add_list(h, &r->mask);
	ssi_hash_end(h, ret);
	return 0;
}

static void __attribute__((format(printf, 4, 5))) add_op(struct plan *p, enum op_type t, bool cached, const char *fmt, ...)
{
	struct op *o = &p->ops[p->n++];
	va_list ap;

	o->type = t;
	o->cached = cached;
	va_start(ap, fmt);
	vsnprintf(o->what, sizeof(o->what), fmt, ap);
	va_end(ap);
}

static void plan_source(struct plan *p, const struct recipe *r, bool cached)
{
	if (r->source == RECIPE_DEBIAN)
		add_op(p, OP_BOOTSTRAP, cached, "%s with %s and %zu packages", r->suite, r->kernel, r->packages.n);
}

/* What is done to the tree for root.erofs. */
static void plan_root(struct plan *p, const struct recipe *r, const struct inputs *in)
{
	if (*in->programs)
		add_op(p, OP_PROGRAMS, false, "those of a %s", r->programs);
	if (r->overlays.n)
		add_op(p, OP_OVERLAY, false, "%s%s", r->overlays.words[0].text, r->overlays.n > 1 ? " and more" : "");
	if (r->enable.n + r->disable.n + r->mask.n)
		add_op(p, OP_SERVICES, false, "%zu enabled, %zu disabled, %zu masked", r->enable.n, r->disable.n, r->mask.n);
	if (r->drop.n)
		add_op(p, OP_MODULES, false, "%zu folders of kernel modules left out", r->drop.n);
	add_op(p, OP_CLEAN, false, "caches, logs, identities, and %zu paths", r->remove.n);
	add_op(p, OP_ROOT, false, "root.erofs, lz4hc");
	add_op(p, OP_VERITY, false, "root.verity, sha256");
}

int plan_make(const struct recipe *r, const struct inputs *in, bool (*has)(const char *kind, const char *key, void *userdata), void *userdata,
	      struct plan *ret)
{
	struct plan p = { .n = 0 };
	bool bootstrap, initramfs, root;
	int err = key_bootstrap(r, in, p.bootstrap);

	if (err == 0)
		err = key_initramfs(r, in, p.bootstrap, p.initramfs);
	if (err == 0)
		err = key_root(r, in, p.bootstrap, p.root);
	if (err < 0)
		return err;
	bootstrap = has(RESULT_BOOTSTRAP, p.bootstrap, userdata);
	initramfs = has(RESULT_INITRAMFS, p.initramfs, userdata);
	root = has(RESULT_ROOT, p.root, userdata);
	/* With both results there, nobody misses a bootstrap that has gone. */
	plan_source(&p, r, bootstrap || (initramfs && root));
	if (!initramfs || !root)
		add_op(&p, OP_UNPACK, false, "the tree");
	add_op(&p, OP_INITRAMFS, initramfs, "%zu drivers, %zu modules%s", r->drivers.n, r->modules.n, r->iscsi ? "; one for iSCSI" : "");
	if (root)
		add_op(&p, OP_ROOT, true, "root.erofs, lz4hc");
	else
		plan_root(&p, r, in);
	add_op(&p, OP_PUBLISH, false, "%s", r->name);
	*ret = p;
	return 0;
}

bool plan_needs_tree(const struct plan *p)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->ops[i].type == OP_UNPACK)
			return true;
	return false;
}

void plan_print(const struct plan *p, FILE *to)
{
	static const struct ssi_column columns[] = { { "STEP", false }, { "WHAT", false }, { "TO DO", false }, { NULL, false } };
	_cleanup_table_ struct ssi_table *t = ssi_table_new(columns);

	for (size_t i = 0; i < p->n; i++) {
		ssi_table_cell(t, SSI_BOLD, "%s", op_name(p->ops[i].type));
		ssi_table_cell(t, SSI_PLAIN, "%s", p->ops[i].what);
		ssi_table_cell(t, p->ops[i].cached ? SSI_DIM : SSI_GREEN, "%s", p->ops[i].cached ? "as before" : "yes");
	}
	ssi_table_print(t, to, 0);
}

json_t *plan_json(const struct plan *p)
{
	json_t *a = json_array();

	for (size_t i = 0; a && i < p->n; i++)
		json_array_append_new(a, json_pack("{s:s, s:s, s:b}", "step", op_name(p->ops[i].type), "what", p->ops[i].what,
						   "cached", p->ops[i].cached));
	return a;
}
