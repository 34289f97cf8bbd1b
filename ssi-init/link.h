/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* rtnetlink(7) as the network stage needs it: requests with their answers, and links as they appear and change. */
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include "libssi/base/err.h"
#include "libssi/model/mac.h"

struct link_info {
	int index;
	char name[16];
	char mac[SSI_MAC_LEN];
	bool loopback;
	bool carrier;                             /* the driver has one: IFF_LOWER_UP */
	bool running;                             /* and the kernel has taken note, up to a second later: IFF_RUNNING */
};

struct link;                                      /* two sockets: one asks, one hears events */
int link_open(struct link **ret, struct ssi_err *e);
void link_close(struct link *l);
static inline void link_closep(struct link **l) { link_close(*l); }
#define _cleanup_link_ SSI_CLEANUP(link_closep)

/* Every link there is now; each() returns not 0 to end it with that. */
int link_list(struct link *l, int (*each)(const struct link_info *i, void *userdata), void *userdata, struct ssi_err *e);
int link_set_up(struct link *l, int index, struct ssi_err *e);
int link_add_address(struct link *l, int index, struct in_addr a, unsigned prefix, struct ssi_err *e);
int link_add_default_route(struct link *l, int index, struct in_addr gateway, struct ssi_err *e);
/* Until some link changed, at most timeout_ms; 0, -ETIMEDOUT. What changed is to be asked with link_list(). */
int link_wait(struct link *l, int timeout_ms, struct ssi_err *e);
