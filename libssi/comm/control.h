/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * The control socket (doc/control.md): what both ends agree on, and the client's end. JSON objects, one a line.
 * The daemon's end is control-server.h. Needs jansson and nothing else, so that ssi does not pull in an event loop.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include "libssi/base/cleanup.h"
#include "libssi/base/err.h"
#include "libssi/comm/json.h"

#define SSI_CONTROL_SOCKET SSI_RUNDIR "/bootsvc.sock"
#define SSI_CONTROL_USERS "user.sock"            /* beside it, for everyone, with the verbs that are for everyone */
#define SSI_CONTROL_REQUEST_MAX (1u << 20)       /* bytes of a request, with its newline */
#define SSI_CONTROL_ANSWER_MAX (64u << 20)       /* bytes of an answer line: a list of 10,000 nodes with all they have */

/* What a verb may be asked with; the table in control-request.c is the one place that lists them. */
enum ssi_control_type { SSI_CONTROL_STRING, SSI_CONTROL_INTEGER, SSI_CONTROL_BOOL, SSI_CONTROL_STRINGS, SSI_CONTROL_STRING_MAP };
struct ssi_control_arg { const char *name; enum ssi_control_type type; bool required; };
struct ssi_control_spec {
	const char *verb;
	struct ssi_control_arg args[6];          /* ends with a NULL name */
};
extern const struct ssi_control_spec ssi_control_specs[];        /* ends with a NULL verb */

/* May everyone ask it? Then its handler looks at who asks. */
bool ssi_control_for_users(const char *verb);

/* Pure: one line (its newline may be there or not) into a verb of the table and its checked arguments: no unknown name, every required one there,
 * every type right, no empty list, no NUL in a string, integers not negative. *ret_args is never NULL on success, an object, the caller's.
 * -EBADMSG (not a request), -EOPNOTSUPP (no such verb), -EINVAL (an argument), the reason in e. */
int ssi_control_parse(const char *line, size_t len, const struct ssi_control_spec **ret_spec, json_t **ret_args, struct ssi_err *e);

/* A JSON string of any bytes: what is not UTF-8 becomes U+FFFD, so that text from a node or a file cannot make an answer unsendable. NULL: out of memory. */
json_t *ssi_control_text(const char *s);

/* The client. Blocking; one call at a time. */
struct ssi_control;
/*
 * path NULL: $SSI_SOCKET, else SSI_CONTROL_SOCKET; for who may not use that, SSI_CONTROL_USERS beside it. A text in e that a person can act on: not running,
 * or not allowed.
 */
int ssi_control_open(const char *path, struct ssi_control **ret, struct ssi_err *e);
void ssi_control_close(struct ssi_control *c);                   /* NULL is fine */
static inline void ssi_control_closep(struct ssi_control **c) { ssi_control_close(*c); }
#define _cleanup_control_ SSI_CLEANUP(ssi_control_closep)

/* Called for each event of a streaming verb, borrowed. Not 0 ends the call with -ECANCELED. */
typedef int (*ssi_control_event_fn)(const json_t *event, void *userdata);

/* Ask. args (may be NULL) is borrowed. *ret_answer is the whole answer, {"ok":…}, also when ok is false: then the return value is 1 and e has
 * its error. 0 when ok is true. timeout_ms bounds the silence between two lines; 0 = none. A daemon that takes no connection, or does not read, is
 * given up after 5 s.
 * -ETIMEDOUT, -ECONNRESET (the daemon went away), -EBADMSG: the connection is of no more use. */
int ssi_control_call(struct ssi_control *c, const char *verb, json_t *args, unsigned timeout_ms,
		     ssi_control_event_fn event, void *userdata, json_t **ret_answer, struct ssi_err *e);
/* The same for a verb that takes input: what fd gives until its end goes along, while answers come. fd stays the caller's and as it is. c is to be closed then. */
int ssi_control_call_input(struct ssi_control *c, const char *verb, json_t *args, int fd, ssi_control_event_fn event, void *userdata,
			   json_t **ret_answer, struct ssi_err *e);
/* Open, ask, close: for verbs that ask once. args (may be NULL) is taken over. As ssi_control_call. */
int ssi_control_ask(const char *path, const char *verb, json_t *args, unsigned timeout_ms, json_t **ret_answer, struct ssi_err *e);
