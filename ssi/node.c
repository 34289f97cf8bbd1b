/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the verbs about nodes share in showing them. */
#include "ssi/node.h"

#include <string.h>

#include "libssi/base/clock.h"
#include "libssi/base/num.h"
#include "libssi/comm/json.h"
#include "libssi/model/nodelist.h"
#include "ssi/ask.h"

enum ssi_color node_color(const char *state)
{
	static const struct { const char *state; enum ssi_color color; } colors[] = {
		{ "joined", SSI_GREEN }, { "booting", SSI_CYAN }, { "suspect", SSI_YELLOW },
		{ "detached", SSI_RED }, { "failed", SSI_RED }, { "off", SSI_DIM },
	};

	for (size_t i = 0; i < sizeof(colors) / sizeof(*colors); i++)
		if (strcmp(colors[i].state, state) == 0)
			return colors[i].color;
	return SSI_PLAIN;
}

char *node_state(char *buf, size_t n, const json_t *node)
{
	bool drained = strcmp(ssi_json_str(node, "hold"), "drained") == 0;

	snprintf(buf, n, "%.16s%s", ssi_json_str(node, "state"), drained ? ", drained" : "");
	return buf;
}

char *node_age(char *buf, size_t n, json_int_t wall_ms)
{
	json_int_t now = (json_int_t)ssi_clock_wall_ms();

	if (wall_ms > 0)
		return ssi_num_format_ms(buf, n, now > wall_ms ? (uint64_t)(now - wall_ms) : 0);
	snprintf(buf, n, "-");
	return buf;
}

char *node_range(const json_t *nodes, const char *state)
{
	_cleanup_free_ char **names = calloc(json_array_size(nodes) + 1, sizeof(*names));
	size_t i, n = 0;
	const json_t *node;

	if (!names)
		return NULL;
	json_array_foreach((json_t *)nodes, i, node)
		if (!state || strcmp(ssi_json_str(node, "state"), state) == 0)
			names[n++] = (char *)ssi_json_str(node, "name");
	return n ? ssi_nodelist_format(names, n) : strdup("");
}

static size_t node_print_errors(const json_t *list)
{
	size_t i, failed = 0;
	const json_t *o;

	json_array_foreach((json_t *)list, i, o) {
		_cleanup_free_ char *text = strdup(ssi_json_str(o, "error"));

		if (!text || !*text)
			continue;
		fprintf(stderr, "ssi: %s: %s\n", ssi_json_str(o, "name"), ssi_tty_clean(text, false));
		failed++;
	}
	return failed;
}

int node_command(const struct ssi_cmd_args *a, const char *verb, json_t *args, unsigned timeout_ms, void (*print)(const json_t *list))
{
	_cleanup_json_ json_t *answer = NULL;
	const json_t *list;
	int r = ask(a, verb, args, timeout_ms, &answer);

	if (r != 0)
		return r;
	list = json_object_get(answer, "data");
	if (ssi_cmd_json(a))
		ask_print_json(list);
	else
		print(list);
	return node_print_errors(list) ? 1 : 0;
}
