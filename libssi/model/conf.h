/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * Ini files read against a table of their sections and keys: nodes.d, recipes, services.d. The reader is fed line by line, never stops
 * at a mistake, and gives the caller only what the table allows. Pure: it is given a text and a name for it.
 *
 *     [kind]  or  [kind NAME]          NAME may hold blanks and brackets: [node n[01-64]]
 *     key = value                      blanks around key and value do not count
 *     # or ;                           at the start of a line or after a blank: a comment to the line's end
 *
 * Text is UTF-8 without control characters (a tab is a blank; CR before LF and a byte order mark are passed over); no quoting, no
 * continuation lines. A key stands once in a section unless the table lets it repeat. docs: doc/nodes.d.md, doc/store.md.
 */
#include <stdbool.h>
#include <stddef.h>
#include "libssi/base/buf.h"
#include "libssi/base/err.h"

#define SSI_CONF_LINE_MAX 4096           /* bytes without the newline */
#define SSI_CONF_FILE_MAX (16u << 20)    /* bytes of a text */
#define SSI_CONF_ERRORS_MAX 1000         /* mistakes that are written out; further ones are counted */
#define SSI_CONF_KEYS_MAX 64             /* keys in a section's table */

/* Mistakes, one a line in to: "FILE:LINE: TEXT". Zero-initialise but for to. */
struct ssi_conf_errors {
	struct ssi_buf *to;
	unsigned n;                      /* how many there were */
};
/* line 0: a mistake of the whole file ("FILE: TEXT"). */
void ssi_conf_error(struct ssi_conf_errors *errors, const char *file, unsigned line, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* When all is read: says how many were not written out, if any. Returns 0, -EINVAL when there was a mistake, -ENOMEM. */
int ssi_conf_errors_end(struct ssi_conf_errors *errors);

enum ssi_conf_flags {
	SSI_CONF_REPEAT = 1,             /* may stand several times in one section; each is given to entry() */
	SSI_CONF_EMPTY = 2,              /* may have an empty value */
};

struct ssi_conf_key {
	const char *name;                /* "image"; "power.*" stands for every key that begins with "power." and goes on */
	unsigned flags;
	const char *words;               /* the values there are, "server proxy"; NULL = any */
	int (*check)(const char *value, struct ssi_err *e);   /* < 0 and in e what is wrong: "not an address such as 10.77.0.11"; NULL = no check */
	int id;                          /* the caller's own */
};

struct ssi_conf_section {
	const char *kind;                /* "node" */
	const char *name;                /* what stands behind it, for messages: "RANGE"; NULL = nothing does */
	const struct ssi_conf_key *keys; /* ends with {0} */
	int id;                          /* the caller's own */
};

struct ssi_conf;                         /* a text being read */
struct ssi_conf_ops {
	/* A section begins (name is "" where the table has none). Not 0: its keys are passed over (the mistake has been recorded). May be NULL. */
	int (*section)(struct ssi_conf *c, const struct ssi_conf_section *s, const char *name, void *userdata);
	/* A key of the table with a value that passed its check; both borrowed for the call. key is the whole key also for "power.*". */
	void (*entry)(struct ssi_conf *c, const struct ssi_conf_section *s, const struct ssi_conf_key *k,
		      const char *key, const char *value, void *userdata);
	/* A key of the table whose value was refused: it stands there, so that it need not be called missing. May be NULL. */
	void (*refused)(struct ssi_conf *c, const struct ssi_conf_section *s, const struct ssi_conf_key *k, void *userdata);
};

/* Read one text; file is its name in messages (borrowed), sections ends with {0}. Mistakes are added to errors; 0 or -ENOMEM. */
int ssi_conf_parse(const char *file, const char *text, size_t len, const struct ssi_conf_section *sections,
		   const struct ssi_conf_ops *ops, void *userdata, struct ssi_conf_errors *errors);

/* Within a callback: the line we are on, and a mistake there. */
unsigned ssi_conf_line(const struct ssi_conf *c);
void ssi_conf_mistake(struct ssi_conf *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Checks that several formats need. */
int ssi_conf_check_name(const char *value, struct ssi_err *e);       /* ssi_path_is_name(): an image, a system, a node */
int ssi_conf_check_bool(const char *value, struct ssi_err *e);
int ssi_conf_check_duration(const char *value, struct ssi_err *e);
int ssi_conf_check_size(const char *value, struct ssi_err *e);
