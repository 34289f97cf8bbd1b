/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ssi-mkimage list: the generations of all images, or of some. */
#include <stdlib.h>
#include <string.h>
#include "libssi/base/clock.h"
#include "libssi/base/num.h"
#include "libssi/base/tty.h"
#include "mkimage/manifest.h"
#include "mkimage/result.h"
#include "mkimage/store.h"
#include "mkimage/verbs.h"

static const struct ssi_column columns[] = {
	{ "IMAGE", false }, { "GENERATION", false }, { "BUILT", false }, { "SIZE", true }, { "KERNEL", false }, { "STATE", false }, { NULL, false },
};

#define LIST_DIGITS 12          /* of a generation, in the table */

/* "current", "previous", "in use" or several of them. */
static const char *state(const struct generation *g, char *buf, size_t n)
{
	snprintf(buf, n, "%s%s%s", g->current ? "current" : g->previous ? "previous" : "", g->used && (g->current || g->previous) ? ", " : "",
		 g->used ? "in use" : "");
	return buf;
}

static char *kernel_of(const struct generation *g)
{
	_cleanup_json_ json_t *m = NULL;
	const char *kernel;

	if (manifest_load(g->path, &m, NULL) < 0)
		return strdup("(damaged)");
	kernel = json_string_value(json_object_get(m, "kernel"));
	return strdup(kernel ? kernel : "");
}

static void add_row(struct ssi_table *t, const struct generation *g)
{
	_cleanup_free_ char *kernel = kernel_of(g);
	char when[32], size[16], text[32];

	ssi_clock_format(when, sizeof(when), (uint64_t)g->built * 1000);
	when[10] = ' ';
	when[16] = '\0';        /* minutes are enough */
	ssi_table_cell(t, SSI_BOLD, "%s", g->image);
	ssi_table_cell(t, SSI_PLAIN, "%.*s", (int)strlen(STORE_ID) + LIST_DIGITS, g->id);
	ssi_table_cell(t, SSI_PLAIN, "%s", when);
	ssi_table_cell(t, SSI_PLAIN, "%s", ssi_num_format_size(size, sizeof(size), g->size));
	ssi_table_cell(t, SSI_PLAIN, "%s", kernel ? kernel : "");
	ssi_table_cell(t, g->current ? SSI_GREEN : SSI_PLAIN, "%s", state(g, text, sizeof(text)));
}

static json_t *to_json(const struct generation *g)
{
	_cleanup_free_ char *kernel = kernel_of(g);
	char when[32];

	return json_pack("{s:s, s:s, s:s, s:s, s:I, s:s*, s:b, s:b, s:b}", "image", g->image, "generation", g->id, "path", g->path,
			 "built", ssi_clock_format(when, sizeof(when), (uint64_t)g->built * 1000), "size", (json_int_t)g->size,
			 "kernel", kernel, "current", g->current, "previous", g->previous, "used", g->used);
}

static int list_one(const struct ssi_cmd_args *a, const char *image, struct ssi_table *t, json_t *array)
{
	_cleanup_generations_ struct generations g = GENERATIONS_INIT;
	struct ssi_err e;
	int r = store_scan(verb_store(a), image, &g, &e);

	if (r == 0 && image && !g.n)
		r = ssi_errf(&e, -1, "there is no image '%s' in %s", image, verb_store(a));
	if (r < 0)
		return verb_fail(&e);
	for (size_t i = 0; i < g.n; i++) {
		add_row(t, &g.all[i]);
		json_array_append_new(array, to_json(&g.all[i]));
	}
	return 0;
}

int verb_list(struct ssi_cmd_args *a, int argc, char **argv)
{
	_cleanup_table_ struct ssi_table *t = ssi_table_new(columns);
	_cleanup_json_ json_t *array = json_array();
	int status = 0;

	if (!verb_store(a))
		return 1;
	for (int i = 0; i < (argc ? argc : 1); i++)
		status |= list_one(a, argc ? argv[i] : NULL, t, array);
	if (ssi_cmd_json(a)) {
		json_dumpf(array, stdout, JSON_INDENT(2));
		putchar('\n');
	} else if (json_array_size(array)) {
		ssi_table_print(t, stdout, 0);
	} else if (!status) {
		printf("no images in %s\n", verb_store(a));
	}
	return status;
}
