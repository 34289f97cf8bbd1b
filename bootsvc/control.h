/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* The verbs of the control socket (doc/control.md), and what their files share. */
#include <jansson.h>
#include "bootsvc/daemon.h"
#include "libssi/comm/json.h"
#include "libssi/model/nodelist.h"

/* Opens RUN/bootsvc.sock and registers every verb. Freed by ssi_control_server_free. */
int control_start(struct daemon *d, struct ssi_err *e);

/* The nodes of a range, or with range NULL all of them; each must exist. Borrowed pointers in an array that the caller frees. */
int control_nodes(struct daemon *d, const char *range, const struct ssi_node ***ret, size_t *ret_n, struct ssi_err *e);
/* {"name","error"}, the latter left out where NULL; its bytes may be any. */
json_t *control_node_result(const char *name, const char *error);
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
int control_node_accept(struct ssi_control_request *q, const json_t *args, void *userdata, struct ssi_err *e);
int control_machine_list(struct ssi_control_request *q, const json_t *args, void *userdata, struct ssi_err *e);
int control_machine_rm(struct ssi_control_request *q, const json_t *args, void *userdata, struct ssi_err *e);
int control_events(struct ssi_control_request *q, const json_t *args, void *userdata, struct ssi_err *e);
int control_exec(struct ssi_control_request *q, const json_t *args, void *userdata, struct ssi_err *e);
