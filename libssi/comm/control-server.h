/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * The daemon's end of the control socket, on its event loop. Requests are checked against the table of control.h before a
 * handler sees them. Bounded: SSI_CONTROL_CLIENTS connections (one more is told so and closed), a request line, an output queue each.
 * A client that does not read delays nobody but itself.
 */
#include <jansson.h>
#include <sys/types.h>
#include <systemd/sd-event.h>
#include "libssi/base/err.h"
#include "libssi/comm/control.h"

#define SSI_CONTROL_CLIENTS 64
#define SSI_CONTROL_CLIENTS_OF_USER 16           /* of a socket that is open to all; one more is closed */
#define SSI_CONTROL_QUEUE_HIGH (256u << 10)      /* queued bytes past which ssi_control_event asks for a pause */
#define SSI_CONTROL_QUEUE_MAX (8u << 20)         /* and past which a client that streams is dropped (a final answer may be longer) */

struct ssi_control_server;
/* One request being answered: valid until its answer is given or gone() was called, whichever is first. */
struct ssi_control_request;

/* args is borrowed for the call (json_incref to keep) and already checked. Return 0 when answered, or to be answered later;
 * a negative return sends {"ok":false,"error":e->text} (then do not answer too). */
typedef int (*ssi_control_handler)(struct ssi_control_request *q, const json_t *args, void *userdata, struct ssi_err *e);

/* path NULL: SSI_CONTROL_SOCKET. Makes the directory; takes the place of a stale socket (-EADDRINUSE where one answers); mode 0660, group ssi
 * where there is such a group. */
int ssi_control_listen(sd_event *event, const char *path, struct ssi_control_server **ret, struct ssi_err *e);
/* Let everybody connect. What is registered there is for everybody then; its handlers judge by ssi_control_uid. -errno. */
int ssi_control_to_all(struct ssi_control_server *s);
void ssi_control_server_free(struct ssi_control_server *s);      /* tries once to send what is queued, calls gone() for what is open, removes the socket; NULL is fine */
/* verb must be in ssi_control_specs (-ENOENT), once (-EEXIST). A verb nobody registered is answered with an error. */
int ssi_control_register(struct ssi_control_server *s, const char *verb, ssi_control_handler run, void *userdata);

/* End a request. data (may be NULL) is taken over. */
void ssi_control_ok(struct ssi_control_request *q, json_t *data);
/* {"ok":false,"error":why->text,"status":1}; errors (may be NULL, taken over) is an array of lines for "errors", data (may be NULL, taken over) goes along. */
void ssi_control_fail(struct ssi_control_request *q, const struct ssi_err *why, json_t *errors, json_t *data);
/* {"ok":true,"failed":n,"data":…}: done, but not for all. data is taken over. */
void ssi_control_partial(struct ssi_control_request *q, json_t *data, size_t failed);

/* Stream: {"event":…}; event is taken over. 0 = queued; 1 = queued, and now wait for drained() before the next; -ENOBUFS or -EPIPE = dropped: the
 * client is closed and gone() follows from the loop. */
int ssi_control_event(struct ssi_control_request *q, json_t *event);
/* For a request that is answered later. Either may be NULL. drained: the queue is empty again after a pause was asked for; gone: the client went
 * away (or the server is being freed) before the answer; q is invalid when it returns. */
void ssi_control_watch(struct ssi_control_request *q, void (*drained)(struct ssi_control_request *q, void *userdata),
		       void (*gone)(struct ssi_control_request *q, void *userdata), void *userdata);
/*
 * Take further lines of the client while this request is open: each is {"input":…}, a string in base64, and goes to input() decoded; n 0 is the end
 * of it, also when the client shuts its end. input(): 0; 1: no more before ssi_control_input_more; negative: the client is dropped, gone() follows.
 * What comes after the answer is the next request.
 */
typedef int (*ssi_control_input_fn)(struct ssi_control_request *q, const void *p, size_t n, void *userdata);
void ssi_control_take_input(struct ssi_control_request *q, ssi_control_input_fn input);      /* after ssi_control_watch, whose userdata it gets */
void ssi_control_input_more(struct ssi_control_request *q);
bool ssi_control_from_all(const struct ssi_control_request *q);  /* did it come by a socket that is open to all? */
uid_t ssi_control_uid(const struct ssi_control_request *q);      /* who asks */
