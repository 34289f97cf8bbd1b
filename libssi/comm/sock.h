/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* TCP sockets as ccm wants them: non-blocking, close-on-exec, no delay. */
#include <netinet/in.h>
#include "libssi/base/err.h"

/* Begin to connect; the socket is writable once it is done, or failed (ssi_sock_error). The descriptor, or -errno. */
int ssi_sock_connect(struct in_addr addr, uint16_t port, struct ssi_err *e);
/* What became of it: 0 or -errno. */
int ssi_sock_error(int fd, struct in_addr addr, uint16_t port, struct ssi_err *e);
int ssi_sock_listen(struct in_addr addr, uint16_t port, struct ssi_err *e);     /* the descriptor, or -errno */
/* One connection that waits, or -errno; -EAGAIN when none does. */
int ssi_sock_accept(int fd, struct in_addr *ret_peer);
