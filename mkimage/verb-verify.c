/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ssi-mkimage verify: is every byte of a generation what its name promises? */
#include <stdio.h>
#include <string.h>
#include "mkimage/manifest.h"
#include "mkimage/result.h"
#include "mkimage/store.h"
#include "mkimage/verbs.h"

/* The faults, one a line in text, as an array. */
static json_t *lines(const char *text)
{
	json_t *a = json_array();

	for (; text && *text; text += strcspn(text, "\n") + 1)
		json_array_append_new(a, json_stringn(text, strcspn(text, "\n")));
	return a;
}

static int verify_one(const struct ssi_cmd_args *a, const struct generation *g, json_t *array)
{
	_cleanup_buf_ struct ssi_buf faults = SSI_BUF_INIT;
	struct ssi_err e;
	int n = manifest_verify(g->path, g->id, &faults, &e);

	if (n < 0)
		return verb_fail(&e);
	json_array_append_new(array, json_pack("{s:s, s:s, s:b, s:o}", "image", g->image, "generation", g->id, "ok", n == 0, "faults", lines(faults.data)));
	if (!ssi_cmd_json(a)) {
		printf("%s/%s: %s\n", g->image, g->id, n ? "DAMAGED" : "ok");
		for (const char *p = faults.data; p && *p; p += strcspn(p, "\n") + 1)
			printf("  %.*s\n", (int)strcspn(p, "\n"), p);
		fflush(stdout);
	}
	return n > 0;
}

/* A bare IMAGE, or nothing, means all generations. */
static int verify_named(const struct ssi_cmd_args *a, const char *name, json_t *array)
{
	_cleanup_generations_ struct generations g = GENERATIONS_INIT;
	bool all = !name || !strchr(name, '/');
	struct ssi_err e;
	int status = 0, r = all ? store_scan(verb_store(a), name, &g, &e) : store_find(verb_store(a), name, &g, &e);

	if (r == 0 && name && !g.n)
		r = ssi_errf(&e, -1, "there is no image '%s' in %s", name, verb_store(a));
	if (r < 0)
		return verb_fail(&e);
	for (size_t i = 0; i < g.n; i++)
		status |= verify_one(a, &g.all[i], array);
	if (!g.n && !ssi_cmd_json(a))
		printf("no images in %s\n", verb_store(a));
	return status;
}

int verb_verify(struct ssi_cmd_args *a, int argc, char **argv)
{
	_cleanup_json_ json_t *array = json_array();
	int status = 0;

	if (!verb_store(a))
		return 1;
	for (int i = 0; i < (argc ? argc : 1); i++)
		status |= verify_named(a, argc ? argv[i] : NULL, array);
	if (ssi_cmd_json(a)) {
		json_dumpf(array, stdout, JSON_INDENT(2));
		putchar('\n');
	}
	return status;
}
