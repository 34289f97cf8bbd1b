/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ssi-mkimage show: what a generation is made of. */
#include <string.h>
#include "libssi/base/clock.h"
#include "libssi/base/num.h"
#include "libssi/base/tty.h"
#include "mkimage/manifest.h"
#include "mkimage/result.h"
#include "mkimage/store.h"
#include "mkimage/verbs.h"

static void line(const char *head, const char *text)
{
	bool on = ssi_tty_color(stdout);
	_cleanup_free_ char *clean = strdup(text ? text : "");

	if (clean)
		printf("%s%-12s%s %s\n", ssi_tty_begin(SSI_BOLD, on), head, ssi_tty_end(SSI_BOLD, on), ssi_tty_clean(clean, false));
}

static void show_files(json_t *files)
{
	static const struct ssi_column columns[] = { { "FILE", false }, { "SIZE", true }, { "SHA-256", false }, { NULL, false } };
	_cleanup_table_ struct ssi_table *t = ssi_table_new(columns);
	const char *name, *digest;
	json_t *file;
	char size[16];

	json_object_foreach(files, name, file) {
		digest = json_string_value(json_object_get(file, "sha256"));
		ssi_num_format_size(size, sizeof(size), (uint64_t)json_integer_value(json_object_get(file, "size")));
		ssi_table_cell(t, SSI_PLAIN, "%s", name);
		ssi_table_cell(t, SSI_PLAIN, "%s", size);
		ssi_table_cell(t, SSI_DIM, "%s", digest ? digest : "");
	}
	putchar('\n');
	ssi_table_print(t, stdout, 0);
}

/* Words of the recipe, one key a line; long lists are counted. */
static void show_recipe(json_t *recipe)
{
	const char *key;
	json_t *value, *word;
	size_t i;

	json_object_foreach(recipe, key, value) {
		_cleanup_buf_ struct ssi_buf b = SSI_BUF_INIT;

		if (json_is_string(value))
			ssi_buf_adds(&b, json_string_value(value));
		json_array_foreach(value, i, word)
			ssi_buf_addf(&b, "%s%s", i ? " " : "", json_string_value(word) ? json_string_value(word) : "?");
		if (b.data && strcmp(key, "name"))
			line(key, b.data);
	}
}

static void show_text(const struct generation *g, json_t *m)
{
	char when[32], count[64], size[16];

	line("image", g->image);
	line("generation", g->id);
	line("state", g->current ? "current" : g->previous ? "previous" : "older");
	line("in use", g->used ? "yes" : "no");
	line("built", ssi_clock_format(when, sizeof(when), (uint64_t)g->built * 1000));
	line("size", ssi_num_format_size(size, sizeof(size), g->size));
	line("kernel", json_string_value(json_object_get(m, "kernel")));
	snprintf(count, sizeof(count), "%zu (-o json names them)", json_array_size(json_object_get(m, "packages")));
	line("packages", count);
	line("root hash", json_string_value(json_object_get(json_object_get(m, "verity"), "root_hash")));
	line("path", g->path);
	putchar('\n');
	show_recipe(json_object_get(m, "recipe"));
	show_files(json_object_get(m, "files"));
}

static json_t *to_json(const struct generation *g, json_t *m)
{
	char when[32];

	return json_pack("{s:s, s:s, s:s, s:s, s:I, s:b, s:b, s:b, s:O}", "image", g->image, "generation", g->id, "path", g->path,
			 "built", ssi_clock_format(when, sizeof(when), (uint64_t)g->built * 1000), "size", (json_int_t)g->size,
			 "current", g->current, "previous", g->previous, "used", g->used, "manifest", m);
}

static int show_one(const struct ssi_cmd_args *a, const char *name, json_t *array)
{
	_cleanup_generations_ struct generations g = GENERATIONS_INIT;
	_cleanup_json_ json_t *m = NULL;
	struct ssi_err e;

	if (store_find(verb_store(a), name, &g, &e) < 0 || manifest_load(g.all[0].path, &m, &e) < 0)
		return verb_fail(&e);
	if (ssi_cmd_json(a))
		json_array_append_new(array, to_json(&g.all[0], m));
	else
		show_text(&g.all[0], m);
	return 0;
}

int verb_show(struct ssi_cmd_args *a, int argc, char **argv)
{
	_cleanup_json_ json_t *array = json_array();
	int status = 0;

	if (!verb_store(a))
		return 1;
	for (int i = 0; i < argc; i++) {
		if (i && !ssi_cmd_json(a))
			putchar('\n');
		status |= show_one(a, argv[i], array);
	}
	if (ssi_cmd_json(a)) {
		json_dumpf(array, stdout, JSON_INDENT(2));
		putchar('\n');
	}
	return status;
}
