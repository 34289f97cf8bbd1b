/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Running a plan. Called by 'ssi-mkimage build'. A root user's build works as it is; an ordinary user's enters its user namespace after the
 * bootstrap, for mmdebstrap makes one of its own. Temporary folders carry a lock, so a build that was killed leaves nothing but what the
 * next one sweeps.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "libssi/base/path.h"
#include "mkimage/build.h"
#include "mkimage/copy.h"
#include "mkimage/result.h"
#include "mkimage/tool.h"
#include "mkimage/userns.h"

static build_step *const steps[OPS] = {
	[OP_BOOTSTRAP] = step_bootstrap, [OP_UNPACK] = step_unpack, [OP_INITRAMFS] = step_initramfs, [OP_PROGRAMS] = step_programs,
	[OP_OVERLAY] = step_overlay, [OP_SERVICES] = step_services, [OP_MODULES] = step_modules, [OP_CLEAN] = step_clean,
	[OP_ROOT] = step_root, [OP_VERITY] = step_verity, [OP_PUBLISH] = step_publish,
};

static void touch_results(const struct build *b)
{
	result_touch(b->cache, RESULT_BOOTSTRAP, b->plan->bootstrap);
	result_touch(b->cache, RESULT_INITRAMFS, b->plan->initramfs);
	result_touch(b->cache, RESULT_ROOT, b->plan->root);
}

/* What only root may remove and write: everything after the bootstrap. */
static int become_root(struct build *b, struct ssi_err *e)
{
	int r = userns_enter(e);

	if (r < 0)
		return r;
	tmpdir_sweep(b->cache);
	tmpdir_sweep(b->store);
	if (!plan_needs_tree(b->plan))
		return 0;
	r = tmpdir_new(b->cache, &b->work, e);
	if (r < 0)
		return r;
	b->tree = ssi_path_join(b->work.path, "tree");
	return b->tree ? tmpdir_new(b->cache, &b->result, e) : ssi_errno(e, -ENOMEM, "%s", b->cache);
}

static int run_op(struct build *b, const struct op *o, struct ssi_err *e)
{
	uint64_t size = 0;
	int r;

	if (tool_interrupted())
		return ssi_errf(e, -EINTR, "interrupted");
	if (o->cached) {
		progress_cached(&b->progress, op_name(o->type), o->what);
		return 0;
	}
	progress_begin(&b->progress, op_name(o->type), o->what, NULL);
	r = steps[o->type](b, &size, e);
	if (r < 0)
		progress_fail(&b->progress);
	else
		progress_end(&b->progress, size);
	return r;
}

int build_run(struct build *b, struct ssi_err *e)
{
	bool root = false;
	int r = ssi_path_mkdirs(b->cache, 0755);

	if (r < 0)
		return ssi_errno(e, r, "%s", b->cache);
	r = ssi_path_mkdirs(b->store, 0755);
	if (r < 0)
		return ssi_errno(e, r, "%s", b->store);
	/* What the plan counts on is used from now on: another build, done before us, prunes what was not used for longest. */
	touch_results(b);
	for (size_t i = 0; i < b->plan->n && r == 0; i++) {
		if (!root && b->plan->ops[i].type != OP_BOOTSTRAP) {
			r = become_root(b, e);
			root = true;
		}
		if (r == 0)
			r = run_op(b, &b->plan->ops[i], e);
	}
	if (r < 0)
		return r;
	touch_results(b);
	result_prune(b->cache, RESULT_BOOTSTRAP);
	result_prune(b->cache, RESULT_INITRAMFS);
	result_prune(b->cache, RESULT_ROOT);
	return 0;
}

void build_free(struct build *b)
{
	tmpdir_free(&b->result);
	tmpdir_free(&b->work);
	free(b->tree);
}

char *build_path(const struct build *b, const char *rel)
{
	return ssi_path_join(b->tree, rel);
}

static void keep_log(const struct build *b, const char *log, struct ssi_err *e)
{
	_cleanup_free_ char *kept = NULL;
	const char *name = strrchr(log, '/');
	size_t n = strlen(e->text);

	if (asprintf(&kept, "%s/failed-%s", b->cache, name ? name + 1 : log) < 0)
		return;
	unlink(kept);
	if (copy_file(log, kept, 0644, NULL) == 0)
		snprintf(e->text + n, sizeof(e->text) - n, " (all of it: %s)", kept);
}

int build_tool_log(struct build *b, char *const argv[], char *const env[], int out, const char *log, struct ssi_err *e)
{
	struct ssi_err why = { 0 };
	int r = tool_run(&(struct tool){ argv, env, -1, out, log }, &b->progress, &why);

	if (r == -EIO)
		keep_log(b, log, &why);
	return r < 0 ? ssi_errf(e, r, "%s", why.text) : 0;
}

int build_tool(struct build *b, char *const argv[], char *const env[], int out, const char *log, struct ssi_err *e)
{
	_cleanup_free_ char *path = NULL;

	if (asprintf(&path, "%s/%s.log", b->work.path, log) < 0)
		return ssi_errno(e, -ENOMEM, "%s", argv[0]);
	return build_tool_log(b, argv, env, out, path, e);
}
