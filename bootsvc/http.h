/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * The HTTP server of doc/boot.md, GET and HEAD: boot scripts, and by sendfile kernels, initramfs and roots. In the daemon's loop;
 * connections, their memory and their silence are bounded. Only who came in over a system's own address or network is answered.
 */
#include "bootsvc/daemon.h"

#define HTTP_CONNECTIONS 1024
#define HTTP_PER_ADDRESS 64          /* one machine needs two; several may stand behind one address */
#define HTTP_SILENCE_S 30

struct http;
int http_start(struct daemon *d, struct http **ret, struct ssi_err *e);   /* -EADDRINUSE with what to do about it */
void http_free(struct http *h);                                           /* ends what is being served; NULL is fine */
/* Is a file of an image on its way to this node, which is booting? One whose machine takes nothing for HTTP_SILENCE_S is not. */
bool http_serves(const struct http *h, const char *node);
