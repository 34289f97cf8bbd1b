/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ssi-mkimage build: read the recipe, look at its inputs, plan, and do it (or print the plan). */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "libssi/base/clock.h"
#include "libssi/base/log.h"
#include "libssi/base/num.h"
#include "mkimage/build.h"
#include "mkimage/inputs.h"
#include "mkimage/result.h"
#include "mkimage/tool.h"
#include "mkimage/verbs.h"

const struct ssi_opt verb_build_opts[] = {
	{ "programs", 'p', "DIR", "where this project is installed, or its staging directory (/)", "@dir" },
	{ "dry-run", 'n', NULL, "only say what would be done", NULL },
	{ "refresh", 'r', NULL, "bootstrap again, to get newer packages", NULL },
	{ 0 },
};

/* With --refresh the plan takes nothing from the cache; what is there stays until its successor is whole. */
struct asked {
	const char *cache;
	bool refresh;
};

static bool has_result(const char *kind, const char *key, void *userdata)
{
	const struct asked *a = userdata;

	return !a->refresh && result_has(a->cache, kind, key);
}

static int print_plan(const struct ssi_cmd_args *a, const struct plan *p)
{
	_cleanup_json_ json_t *o = NULL;

	if (!ssi_cmd_json(a)) {
		plan_print(p, stdout);
		return 0;
	}
	o = json_pack("{s:o}", "plan", plan_json(p));
	json_dumpf(o, stdout, JSON_INDENT(2));
	putchar('\n');
	return 0;
}

static void print_result(const struct ssi_cmd_args *a, const struct build *b, uint64_t ms)
{
	_cleanup_json_ json_t *o = NULL;
	char time[24];

	if (ssi_cmd_json(a)) {
		o = json_pack("{s:s, s:s, s:b, s:o, s:I}", "name", b->recipe->name, "generation", b->generation, "new", b->is_new,
			      "plan", plan_json(b->plan), "ms", (json_int_t)ms);
		json_dumpf(o, stdout, JSON_INDENT(2));
		putchar('\n');
		return;
	}
	printf("%s/%s %s in %s\n", b->recipe->name, b->generation, b->is_new ? "built" : "is as it was,", ssi_num_format_ms(time, sizeof(time), ms));
}

static int build(struct ssi_cmd_args *a, struct build *b, struct ssi_err *e)
{
	uint64_t start = ssi_clock_mono_ms();
	int r;

	progress_init(&b->progress, stderr);
	r = build_run(b, e);
	if (r == 0)
		print_result(a, b, ssi_clock_mono_ms() - start);
	build_free(b);
	return r;
}

static int plan_and_build(struct ssi_cmd_args *a, const struct recipe *recipe)
{
	_cleanup_aptsources_ struct aptsources sources = APTSOURCES_INIT;
	const char *root = ssi_cmd_opt(a, "programs");
	struct asked asked = { verb_cache(a), ssi_cmd_opt(a, "refresh") };
	_cleanup_free_ char *programs = realpath(root ? root : "/", NULL);
	struct inputs inputs;
	struct plan plan;
	struct ssi_err e;
	int r;

	if (!asked.cache || !verb_store(a))
		return 1;
	if (!programs) {
		log_error("--programs %s: %s", root, strerror(errno));
		return 1;
	}
	r = inputs_read(recipe, programs, &inputs, &sources, &e);
	if (r == 0 && plan_make(recipe, &inputs, has_result, &asked, &plan) < 0)
		r = ssi_errno(&e, -ENOMEM, "plan");
	if (r == 0 && ssi_cmd_opt(a, "dry-run"))
		return print_plan(a, &plan);
	if (r == 0) {
		struct build b = { .recipe = recipe, .inputs = &inputs, .plan = &plan, .sources = &sources, .store = verb_store(a),
				   .cache = asked.cache, .programs = programs, .refresh = asked.refresh,
				   .work = TMPDIR_INIT, .result = TMPDIR_INIT };

		r = build(a, &b, &e);
	}
	if (r < 0)
		verb_fail(&e);
	return r == -EINTR && tool_interrupted() ? 128 + tool_interrupted() : r < 0;
}

int verb_build(struct ssi_cmd_args *a, int argc, char **argv)
{
	_cleanup_recipe_ struct recipe *recipe = NULL;
	_cleanup_buf_ struct ssi_buf errors = SSI_BUF_INIT;
	int r = recipe_load(argv[0], &recipe, &errors);

	if (r < 0) {
		fputs(errors.data ? errors.data : "ssi-mkimage: out of memory\n", stderr);
		return 1;
	}
	tool_catch_signals();
	umask(022);     /* what is made along the way (folders for programs, modules.dep, links of units) goes into the image: the caller's own must not show */
	return plan_and_build(a, recipe);
}
