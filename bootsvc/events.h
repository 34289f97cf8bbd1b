/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * What happened: each event is stored, logged once, and handed to those who follow. This is the one place where the daemon
 * says what it did; kinds are listed in doc/control.md.
 */
#include <stdint.h>
#include "bootsvc/state.h"

struct events;
int events_new(struct state *s, struct events **ret);
void events_free(struct events *ev);                  /* NULL is fine */

/*
 * node, machine: "" or NULL where there is none; incarnation 0 = none. A store that fails is logged; followers get the event all the same.
 * Of what a node causes as often as it likes (stages, reports, hot-plug, joining again, boot scripts in its machine's name) 100 in a minute are
 * taken, and the next tells how many were left out: a node that is mad must not fill the store, nor push out what others said.
 */
void events_add(struct events *ev, const char *kind, const char *node, const char *machine, uint64_t incarnation, const char *fmt, ...)
	__attribute__((format(printf, 6, 7)));

/* Followers are called with every event from now on, until removed. Not from within a follower. */
typedef void (*events_fn)(const struct state_event *e, void *userdata);
int events_follow(struct events *ev, events_fn fn, void *userdata);      /* 0 or -ENOMEM */
void events_unfollow(struct events *ev, events_fn fn, void *userdata);
