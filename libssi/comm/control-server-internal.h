/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* What the two halves of the control socket's end share: control-server.c (the socket, the verbs), control-client.c (who is there, and asks). */
#include "libssi/base/buf.h"
#include "libssi/comm/control-server.h"

struct verb {
	ssi_control_handler run;
	void *userdata;
};

struct ssi_control_request {
	struct client *client;
	const struct ssi_control_spec *spec;
	bool open, paused;
	void (*drained)(struct ssi_control_request *q, void *userdata);
	void (*gone)(struct ssi_control_request *q, void *userdata);
	ssi_control_input_fn input;      /* NULL: it takes none, or has its end */
	bool full;                       /* input() has said: no more now */
	void *userdata;
};

struct client {
	struct ssi_control_server *server;
	struct client *prev, *next;
	sd_event_source *io, *more;      /* more: lines that are here are served, now that they may be */
	int fd;
	uid_t uid;
	struct ssi_buf in, out;
	size_t scanned;                  /* of in: no newline before this */
	size_t sent;                     /* of out */
	bool closing;                    /* after what is queued */
	bool ended;                      /* it has shut its end: what is in `in` is all */
	struct ssi_control_request request;
};

struct ssi_control_server {
	sd_event *event;
	sd_event_source *io, *pause;
	int fd;
	bool to_all;
	char *path;
	struct client *clients;
	unsigned n_clients;
	struct verb *verbs;              /* as ssi_control_specs */
};

void control_client_new(struct ssi_control_server *s, int fd);       /* takes fd over; closed where he has enough of them */
void control_client_free(struct client *c);                          /* what is queued is tried once */
