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
		{ "joined", SSI_GREEN }, { "booting", SSI_CYAN }, { "suspect", SSI_YELLOW }, { "fencing", SSI_YELLOW },
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

char *node_fence_steps(char *buf, size_t n, const json_t *fence, bool proved)
{
	const char *step;
	json_t *is;

	buf[0] = '\0';
	json_object_foreach(json_object_get(fence, "steps"), step, is)
		if (json_is_true(is) == proved && strlen(buf) + strlen(step) + 3 < n)
			sprintf(buf + strlen(buf), "%s%s", *buf ? ", " : "", step);
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

char *node_failover(const json_t *node)
{
	static const struct { const char *step, *text; } steps[] = {
		{ "look", "lost; others have fallen silent too: is it the network?" }, { "delay", "lost; may come back by itself yet" },
		{ "ask", "lost; 'ssi node failover' decides" }, { "hand", "switched off by hand: nothing is done until it comes back" }, { "network", "cut off with many others: nothing is done until it comes back, or 'ssi node failover'" },
		{ "limit", "lost; the limit of failovers is reached: 'ssi node failover' decides" }, { "spare", "lost; waits for a spare" },
		{ "stop", "moves: is being shut down" }, { "fence", "moves: is being fenced" }, { "bind", "moves: fenced" },
		{ "power", "moves: is being started" }, { "boot", "moves: until it has joined" },
	};
	const json_t *f = json_object_get(node, "failover");
	const char *step = ssi_json_str(f, "step"), *spare = ssi_json_str(f, "spare"), *note = ssi_json_str(f, "note"), *text = step;
	char *s;

	if (!f)
		return NULL;
	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++)
		if (strcmp(steps[i].step, step) == 0)
			text = steps[i].text;
	if (asprintf(&s, "%s%s%s%s%s", text, *spare ? ", to machine " : "", spare, *note ? ": " : "", note) < 0)
		return NULL;
	return ssi_tty_clean(s, false);
}
