/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A command line read against a program's tables: the verb found, its options and words checked, its function run. Called by
 * the main() of programs with verbs. Options may stand anywhere, before the verb too; "--" ends them. Long options are
 * written whole ("--name VALUE", "--name=VALUE"), short ones may be joined ("-fo json", "-ojson").
 *
 * Two hidden words, as the first argument, print what other files are made from:
 *
 * --complete-table, fields separated by tabs, "-" for an empty one:
 *     program NAME HELP
 *     option  VERB --NAME -LETTER ARG COMPLETE HELP      VERB is "-" for the program's own options
 *     verb    NAME ARGS COMPLETE HELP
 *
 * --man-synopsis, one line a verb: the call as a manual's SYNOPSIS has it, a tab, and the verb's help:
 *     ssi-mkimage build [--dry-run] [-o|--output FORMAT] RECIPE<TAB>build an image
 */
#include <stdlib.h>
#include <string.h>
#include "config.h"
#include "libssi/base/cleanup.h"
#include "libssi/base/cmd.h"
#include "libssi/base/cmd-internal.h"
#include "libssi/base/suggest.h"
#include "libssi/base/words.h"

struct ssi_cmd_args {
	const struct ssi_program *program;
	const struct ssi_cmd *cmd;           /* NULL until the verb was read */
	char first[64];                      /* of a verb of two or three words, those that were read */
	const struct ssi_opt **opts;         /* as given */
	const char **values;
	int n_opts;
	char **words;
	int n_words;
	bool help;
};

static const struct ssi_opt cmd_help = { "help", 'h', NULL, NULL, NULL };

#define CMD_SUGGESTIONS 128

static int cmd_usage(const struct ssi_cmd_args *a, const char *text, const char *word, const char *meant)
{
	const char *verb = a->cmd ? a->cmd->name : a->first;

	fprintf(stderr, "%s: %s '%s'", a->program->name, text, word);
	if (meant)
		fprintf(stderr, ": did you mean '%s'?", meant);
	fprintf(stderr, "%s See '%s%s%s --help'\n", meant ? "" : ".", a->program->name, *verb ? " " : "", verb);
	return 2;
}

static const struct ssi_opt *cmd_find_opt(const struct ssi_opt *o, const char *name, size_t n, char letter)
{
	for (; o && o->name; o++)
		if (name ? strlen(o->name) == n && !strncmp(o->name, name, n) : letter && o->letter == letter)
			return o;
	return NULL;
}

/* An option of the verb or the program; before the verb is known, of any verb (checked once it is known). */
static const struct ssi_opt *cmd_lookup_opt(const struct ssi_cmd_args *a, const char *name, size_t n, char letter)
{
	const struct ssi_opt *o = NULL;

	if (name ? n == 4 && !strncmp(name, "help", 4) : letter == 'h')
		return &cmd_help;
	if (a->cmd)
		o = cmd_find_opt(a->cmd->opts, name, n, letter);
	if (!o)
		o = cmd_find_opt(a->program->opts, name, n, letter);
	for (const struct ssi_cmd *c = a->program->cmds; !o && !a->cmd && c->name; c++)
		o = cmd_find_opt(c->opts, name, n, letter);
	return o;
}

static const char *cmd_suggest_opt(const struct ssi_cmd_args *a, const char *name)
{
	const struct ssi_opt *lists[] = { a->cmd ? a->cmd->opts : NULL, a->program->opts };
	const char *names[CMD_SUGGESTIONS] = { "help" };
	size_t n = 1;

	for (size_t i = 0; i < 2; i++)
		for (const struct ssi_opt *o = lists[i]; o && o->name && n < CMD_SUGGESTIONS; o++)
			names[n++] = o->name;
	return ssi_suggest(name, names, n);
}

static int cmd_unknown_opt(const struct ssi_cmd_args *a, const char *name, size_t n)
{
	char word[64], meant[66];
	const char *s;

	snprintf(word, sizeof(word), "%.*s", (int)n, name);
	s = cmd_suggest_opt(a, word[1] == '-' ? word + 2 : "");
	snprintf(meant, sizeof(meant), "--%s", s ? s : "");
	return cmd_usage(a, "unknown option", word, s ? meant : NULL);
}

static int cmd_add_opt(struct ssi_cmd_args *a, const struct ssi_opt *o, const char *value)
{
	char text[160];

	if (o == &cmd_help) {
		a->help = true;
		return 0;
	}
	if (o->arg && o->complete && o->complete[0] != '@' && !ssi_words_has(o->complete, value)) {
		snprintf(text, sizeof(text), "--%s takes one of '%s', not", o->name, o->complete);
		return cmd_usage(a, text, value, NULL);
	}
	a->opts[a->n_opts] = o;
	a->values[a->n_opts++] = o->arg ? value : "";
	return 0;
}

/* argv[*i] is "--name", "--name=value": moves *i on when the value is the next word. */
static int cmd_long(struct ssi_cmd_args *a, char **argv, int argc, int *i)
{
	const char *name = argv[*i] + 2;
	size_t n = strcspn(name, "=");
	const struct ssi_opt *o = cmd_lookup_opt(a, name, n, 0);
	const char *value = name[n] ? name + n + 1 : NULL;

	if (!o)
		return cmd_unknown_opt(a, argv[*i], n + 2);
	if (!o->arg && value)
		return cmd_usage(a, "no value goes with", argv[*i], NULL);
	if (o->arg && !value) {
		if (*i + 1 >= argc)
			return cmd_usage(a, "a value is missing after", argv[*i], NULL);
		value = argv[++*i];
	}
	return cmd_add_opt(a, o, value);
}

/* argv[*i] is "-o", "-ojson" or joined flags. */
static int cmd_short(struct ssi_cmd_args *a, char **argv, int argc, int *i)
{
	const char *s = argv[*i] + 1;
	int r = 0;

	for (; *s && r == 0; s++) {
		const struct ssi_opt *o = cmd_lookup_opt(a, NULL, 0, *s);
		char word[3] = { '-', *s, 0 };

		if (!o)
			return cmd_unknown_opt(a, word, 2);
		if (!o->arg) {
			r = cmd_add_opt(a, o, NULL);
			continue;
		}
		if (s[1])
			return cmd_add_opt(a, o, s + 1);
		if (*i + 1 >= argc)
			return cmd_usage(a, "a value is missing after", word, NULL);
		return cmd_add_opt(a, o, argv[++*i]);
	}
	return r;
}

bool ssi_cmd_in_group(const struct ssi_cmd *c, const char *group)
{
	size_t n = strlen(group);

	return !strncmp(c->name, group, n) && c->name[n] == ' ';
}

static int cmd_unknown_verb(const struct ssi_cmd_args *a, const char *name)
{
	const char *names[CMD_SUGGESTIONS];
	size_t n = 0;

	for (const struct ssi_cmd *c = a->program->cmds; c->name && n < CMD_SUGGESTIONS; c++)
		names[n++] = c->name;
	return cmd_usage(a, "unknown verb", name, ssi_suggest(name, names, n));
}

/* A word before the verb is known: the verb, or one of its first words. */
static int cmd_verb_word(struct ssi_cmd_args *a, const char *word)
{
	char name[sizeof(a->first)];

	snprintf(name, sizeof(name), "%.40s%s%.20s", a->first, *a->first ? " " : "", word);
	for (const struct ssi_cmd *c = a->program->cmds; c->name; c++) {
		if (!strcmp(c->name, name)) {
			a->cmd = c;
			return 0;
		}
		if (ssi_cmd_in_group(c, name)) {
			strcpy(a->first, name);
			return 0;
		}
	}
	return cmd_unknown_verb(a, name);
}

/* "-9", "-KILL" of a verb that takes such words. */
static bool cmd_signal_word(const struct ssi_cmd_args *a, const char *word)
{
	return a->cmd && a->cmd->raw < 0 && word[0] == '-' && ((word[1] >= '0' && word[1] <= '9') || (word[1] >= 'A' && word[1] <= 'Z'));
}

static int cmd_read(struct ssi_cmd_args *a, int argc, char **argv)
{
	bool raw = false;
	int r = 0;

	for (int i = 1; i < argc && r == 0; i++) {
		if (!raw && !strcmp(argv[i], "--"))
			raw = true;
		else if (!raw && argv[i][0] == '-' && argv[i][1] == '-')
			r = cmd_long(a, argv, argc, &i);
		else if (!raw && argv[i][0] == '-' && argv[i][1] && !cmd_signal_word(a, argv[i]))
			r = cmd_short(a, argv, argc, &i);
		else if (!a->cmd)
			r = cmd_verb_word(a, argv[i]);
		else
			a->words[a->n_words++] = argv[i];
		if (a->cmd && a->cmd->raw > 0 && a->n_words >= a->cmd->raw)
			raw = true;
	}
	return r;
}

/* Options that stood before the verb were looked up in all verbs: they must be this one's. */
static int cmd_check_opts(struct ssi_cmd_args *a)
{
	for (int i = 0; i < a->n_opts; i++) {
		const char *name = a->opts[i]->name;
		const struct ssi_opt *own = cmd_lookup_opt(a, name, strlen(name), 0);
		char word[64];

		if (!own || !own->arg != !a->opts[i]->arg) {
			snprintf(word, sizeof(word), "--%s", name);
			return cmd_unknown_opt(a, word, strlen(word));
		}
	}
	return 0;
}

static int cmd_check_words(const struct ssi_cmd_args *a)
{
	const struct ssi_cmd *c = a->cmd;

	if (c->max >= 0 && a->n_words > c->max)
		return cmd_usage(a, "one word too many:", a->words[c->max], NULL);
	if (a->n_words < c->min)
		return cmd_usage(a, "words are missing: it takes", c->args ? c->args : "", NULL);
	return 0;
}

static int cmd_no_verb(const struct ssi_cmd_args *a)
{
	if (*a->first)
		return cmd_usage(a, "a further word is missing after", a->first, NULL);
	fprintf(stderr, "%s: no verb given. See '%s --help'\n", a->program->name, a->program->name);
	return 2;
}

static int cmd_run(struct ssi_cmd_args *a, int argc, char **argv)
{
	int r = cmd_read(a, argc, argv);

	if (r != 0)
		return r;
	if (a->help) {
		if (a->cmd)
			ssi_cmd_help_verb(a->program, a->cmd, stdout);
		else
			ssi_cmd_help_program(a->program, *a->first ? a->first : NULL, stdout);
		return 0;
	}
	if (!a->cmd)
		return cmd_no_verb(a);
	r = cmd_check_opts(a);
	if (r == 0)
		r = cmd_check_words(a);
	return r ? r : a->cmd->run(a, a->n_words, a->words);
}

/* What stands for itself as the first word; 1 if it was one. */
static int cmd_special(const struct ssi_program *p, const char *word)
{
	if (!strcmp(word, "--version"))
		printf("%s %s\n", p->name, PACKAGE_VERSION);
	else if (!strcmp(word, "--complete-table"))
		ssi_cmd_complete_table(p, stdout);
	else if (!strcmp(word, "--man-synopsis"))
		ssi_cmd_man_synopsis(p, stdout);
	else
		return 0;
	return 1;
}

int ssi_cmd_main(const struct ssi_program *p, int argc, char **argv)
{
	_cleanup_free_ const struct ssi_opt **opts = NULL;
	_cleanup_free_ const char **values = NULL;
	_cleanup_free_ char **words = NULL;
	/* Joined flags give several options for one word. */
	size_t room = 1;
	int r = 0;

	for (int i = 1; i < argc; i++)
		room += strlen(argv[i]) + 1;
	opts = calloc(room, sizeof(*opts));
	values = calloc(room, sizeof(*values));
	words = calloc((size_t)argc + 1, sizeof(*words));
	if (!opts || !values || !words) {
		fprintf(stderr, "%s: out of memory\n", p->name);
		return 1;
	}
	if (argc < 2 || !cmd_special(p, argv[1]))
		r = cmd_run(&(struct ssi_cmd_args){ .program = p, .opts = opts, .values = values, .words = words }, argc, argv);
	/* What a verb flushed by itself and could not write is no longer there to be flushed. */
	if ((fflush(stdout) != 0 || ferror(stdout)) && r == 0) {
		fprintf(stderr, "%s: cannot write to standard output\n", p->name);
		r = 1;
	}
	return r;
}

const char *ssi_cmd_opt(const struct ssi_cmd_args *a, const char *name)
{
	const struct ssi_opt *own = cmd_find_opt(a->cmd->opts, name, strlen(name), 0);

	for (int i = a->n_opts - 1; i >= 0; i--)
		if (own ? a->opts[i] == own : !strcmp(a->opts[i]->name, name))
			return a->values[i];
	return NULL;
}

/* By its letter: a verb may have a --output of its own. */
bool ssi_cmd_json(const struct ssi_cmd_args *a)
{
	for (int i = a->n_opts - 1; i >= 0; i--)
		if (a->opts[i]->letter == 'o' && !strcmp(a->opts[i]->name, "output"))
			return !strcmp(a->values[i], "json");
	return false;
}
