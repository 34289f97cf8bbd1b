/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the tables of verbs say, printed: help for people, and the two forms that completion and manuals are made from (cmd.c). */
#include <string.h>
#include "libssi/base/cmd-internal.h"

#define HELP_COLUMN 30       /* where the explanations begin */

static const struct ssi_opt help_option = { "help", 'h', NULL, "print this and end", NULL };
static const struct ssi_opt help_version = { "version", 0, NULL, "print the version and end", NULL };

static void help_line(const char *what, const char *text, FILE *to)
{
	if (strlen(what) + 4 > HELP_COLUMN)
		fprintf(to, "  %s\n  %*s%s\n", what, HELP_COLUMN - 2, "", text);
	else
		fprintf(to, "  %-*s%s\n", HELP_COLUMN - 2, what, text);
}

static void help_opt(const struct ssi_opt *o, FILE *to)
{
	char what[128], letter[5] = "    ";

	if (o->letter)
		snprintf(letter, sizeof(letter), "-%c, ", o->letter);
	snprintf(what, sizeof(what), "%s--%s%s%s", letter, o->name, o->arg ? " " : "", o->arg ? o->arg : "");
	help_line(what, o->help, to);
}

static void help_opts(const struct ssi_opt *o, FILE *to)
{
	for (; o && o->name; o++)
		help_opt(o, to);
}

static void help_verb_line(const struct ssi_cmd *c, FILE *to)
{
	char what[160];

	snprintf(what, sizeof(what), "%s%s%s", c->name, c->args ? " " : "", c->args ? c->args : "");
	help_line(what, c->help, to);
}

void ssi_cmd_help_program(const struct ssi_program *p, const char *group, FILE *to)
{
	fprintf(to, "%s: %s\n\nUsage: %s%s%s VERB [OPTION...] [WORD...]\n\nVerbs:\n", p->name, p->help,
		p->name, group ? " " : "", group ? group : "");
	for (const struct ssi_cmd *c = p->cmds; c->name; c++)
		if (!group || ssi_cmd_in_group(c, group))
			help_verb_line(c, to);
	fprintf(to, "\nOptions:\n");
	help_opts(p->opts, to);
	help_opt(&help_option, to);
	help_opt(&help_version, to);
	fprintf(to, "\n'%s%s%s VERB --help' explains a verb.\n", p->name, group ? " " : "", group ? group : "");
}

void ssi_cmd_help_verb(const struct ssi_program *p, const struct ssi_cmd *c, FILE *to)
{
	fprintf(to, "Usage: %s %s [OPTION...]%s%s\n\n%s.\n\nOptions:\n", p->name, c->name,
		c->args ? " " : "", c->args ? c->args : "", c->help);
	help_opts(c->opts, to);
	help_opts(p->opts, to);
	help_opt(&help_option, to);
}

static const char *table_field(const char *s)
{
	return s && *s ? s : "-";
}

static void table_opts(const char *verb, const struct ssi_opt *o, FILE *to)
{
	for (; o && o->name; o++) {
		char letter[3] = { '-', o->letter, 0 };

		fprintf(to, "option\t%s\t--%s\t%s\t%s\t%s\t%s\n", table_field(verb), o->name, letter,
			table_field(o->arg), table_field(o->complete), table_field(o->help));
	}
}

void ssi_cmd_complete_table(const struct ssi_program *p, FILE *to)
{
	fprintf(to, "program\t%s\t%s\n", p->name, p->help);
	table_opts(NULL, p->opts, to);
	table_opts(NULL, (const struct ssi_opt[]){ help_option, help_version, { 0 } }, to);
	for (const struct ssi_cmd *c = p->cmds; c->name; c++) {
		fprintf(to, "verb\t%s\t%s\t%s\t%s\n", c->name, table_field(c->args), table_field(c->complete), c->help);
		table_opts(c->name, c->opts, to);
	}
}

static void synopsis_opts(const struct ssi_opt *o, FILE *to)
{
	for (; o && o->name; o++) {
		fprintf(to, " [");
		if (o->letter)
			fprintf(to, "-%c|", o->letter);
		fprintf(to, "--%s%s%s]", o->name, o->arg ? " " : "", o->arg ? o->arg : "");
	}
}

void ssi_cmd_man_synopsis(const struct ssi_program *p, FILE *to)
{
	for (const struct ssi_cmd *c = p->cmds; c->name; c++) {
		fprintf(to, "%s %s", p->name, c->name);
		synopsis_opts(c->opts, to);
		synopsis_opts(p->opts, to);
		fprintf(to, "%s%s\t%s\n", c->args ? " " : "", c->args ? c->args : "", c->help);
	}
}
