/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* How nodes look to people: colours of states, ages, names joined to ranges. */
#include <jansson.h>
#include <stdbool.h>
#include "libssi/base/cmd.h"
#include "libssi/base/tty.h"

enum ssi_color node_color(const char *state);        /* of a node's state */
/* A node's state, and whether it is drained: "joined, drained". buf of at least 32 bytes; returns buf. */
char *node_state(char *buf, size_t n, const json_t *node);
/* How far its failover is, in words for people: "waits for a spare"; NULL: it has none. The caller's to free. */
char *node_failover(const json_t *node);
/* How long ago a wall-clock time in milliseconds is: "3.4 s", "2 m 05 s"; "-" for 0. buf of at least 24 bytes; returns buf. */
char *node_age(char *buf, size_t n, json_int_t wall_ms);
/* The names of those of a list of nodes that are in a state (NULL: of all), as a range; the caller's. "" when there are none, NULL: out of memory. */
char *node_range(const json_t *nodes, const char *state);
/* The steps of a fence (node.show's "fence") that are proved, or those that are not: "key, door"; "" for none. buf of at least 80 bytes; returns buf. */
char *node_fence_steps(char *buf, size_t n, const json_t *fence, bool proved);
/*
 * Have the daemon do something with nodes, and print what became of it, a list of {"name", …, "error"}: as JSON, or what succeeded by print, to
 * standard output; what failed to standard error as "ssi: NAME: ERROR". args is taken over (see ask). Returns the exit status: 1 if any failed.
 */
int node_command(const struct ssi_cmd_args *a, const char *verb, json_t *args, unsigned timeout_ms, void (*print)(const json_t *list));
