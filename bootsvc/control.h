/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* The verbs of the control socket (doc/control.md), and what their files share. */
#include <jansson.h>
#include "bootsvc/daemon.h"
#include "libssi/comm/json.h"
#include "libssi/model/nodelist.h"

/* Opens RUN/bootsvc.sock and registers every verb, and RUN/users.sock with those that everybody may use. Freed by ssi_control_server_free. */
int control_start(struct daemon *d, struct ssi_err *e);

/* The nodes of a range, or with range NULL all of them; each must exist. Borrowed pointers in an array that the caller frees. */
int control_nodes(struct daemon *d, const char *range, const struct ssi_node ***ret, size_t *ret_n, struct ssi_err *e);
/* {"name","error"}, the latter left out where NULL; its bytes may be any. */
json_t *control_node_result(const char *name, const char *error);
/*
 * A request about several nodes (control-batch.c): one() is called for each of them and gives its result (control_node_result), or NULL when that comes
 * later, by control_batch_add. The answer goes out with the last result; nodes whose result has an "error" are counted. how is passed on.
 * control_range: the nodes of args' "range".
 */
struct control_batch;
typedef json_t *(*control_one)(struct daemon *d, const struct ssi_node *n, struct control_batch *b, const void *how);
int control_each(struct ssi_control_request *q, struct daemon *d, const struct ssi_node **nodes, size_t n, control_one one, const void *how, struct ssi_err *e);
int control_range(struct ssi_control_request *q, struct daemon *d, const json_t *args, control_one one, const void *how, struct ssi_err *e);
/* Takes the result over, and frees the batch with the last one. */
void control_batch_add(struct control_batch *b, json_t *result);
/* A text of lines as an array of strings. */
json_t *control_lines(const char *text);

int control_status(struct ssi_control_request *q, const json_t *args, void *userdata, struct ssi_err *e);
int control_reload(struct ssi_control_request *q, const json_t *args, void *userdata, struct ssi_err *e);
int control_stop(struct ssi_control_request *q, const json_t *args, void *userdata, struct ssi_err *e);
int control_node_list(struct ssi_control_request *q, const json_t *args, void *userdata, struct ssi_err *e);
int control_node_show(struct ssi_control_request *q, const json_t *args, void *userdata, struct ssi_err *e);
int control_node_set(struct ssi_control_request *q, const json_t *args, void *userdata, struct ssi_err *e);
int control_node_power(struct ssi_control_request *q, const json_t *args, void *userdata, struct ssi_err *e);
int control_node_reboot(struct ssi_control_request *q, const json_t *args, void *userdata, struct ssi_err *e);
int control_node_drain(struct ssi_control_request *q, const json_t *args, void *userdata, struct ssi_err *e);
int control_node_detach(struct ssi_control_request *q, const json_t *args, void *userdata, struct ssi_err *e);
int control_node_fence(struct ssi_control_request *q, const json_t *args, void *userdata, struct ssi_err *e);
int control_node_accept(struct ssi_control_request *q, const json_t *args, void *userdata, struct ssi_err *e);
int control_node_failover(struct ssi_control_request *q, const json_t *args, void *userdata, struct ssi_err *e);
int control_node_move(struct ssi_control_request *q, const json_t *args, void *userdata, struct ssi_err *e);
int control_machine_accept(struct ssi_control_request *q, const json_t *args, void *userdata, struct ssi_err *e);
int control_node_state_list(struct ssi_control_request *q, const json_t *args, void *userdata, struct ssi_err *e);
int control_node_state_snapshot(struct ssi_control_request *q, const json_t *args, void *userdata, struct ssi_err *e);
int control_node_state_restore(struct ssi_control_request *q, const json_t *args, void *userdata, struct ssi_err *e);
int control_node_state_rm(struct ssi_control_request *q, const json_t *args, void *userdata, struct ssi_err *e);
int control_node_state_accept(struct ssi_control_request *q, const json_t *args, void *userdata, struct ssi_err *e);
int control_machine_list(struct ssi_control_request *q, const json_t *args, void *userdata, struct ssi_err *e);
int control_machine_rm(struct ssi_control_request *q, const json_t *args, void *userdata, struct ssi_err *e);
int control_events(struct ssi_control_request *q, const json_t *args, void *userdata, struct ssi_err *e);
int control_load(struct ssi_control_request *q, const json_t *args, void *userdata, struct ssi_err *e);
int control_policy_list(struct ssi_control_request *q, const json_t *args, void *userdata, struct ssi_err *e);
int control_policy_show(struct ssi_control_request *q, const json_t *args, void *userdata, struct ssi_err *e);
int control_jobs(struct ssi_control_request *q, const json_t *args, void *userdata, struct ssi_err *e);
int control_job_show(struct ssi_control_request *q, const json_t *args, void *userdata, struct ssi_err *e);
int control_job_signal(struct ssi_control_request *q, const json_t *args, void *userdata, struct ssi_err *e);
int control_procs(struct ssi_control_request *q, const json_t *args, void *userdata, struct ssi_err *e);
int control_procs_signal(struct ssi_control_request *q, const json_t *args, void *userdata, struct ssi_err *e);
int control_procs_nice(struct ssi_control_request *q, const json_t *args, void *userdata, struct ssi_err *e);
int control_procs_affinity(struct ssi_control_request *q, const json_t *args, void *userdata, struct ssi_err *e);
int control_exec(struct ssi_control_request *q, const json_t *args, void *userdata, struct ssi_err *e);
