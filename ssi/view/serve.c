/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The merged /proc as FUSE sees it: one thread that answers every request at once, out of memory or of the real /proc. There are two file systems: that of
 * /proc, in which the only files are those of remote processes, and that of /proc/ssi with the files that say another thing each time. The first one has no
 * open: the kernel keeps what a file says until it is told that it is another (told.h), and whoever reads it again asks nobody. In the second one what is open
 * is a text. That, and the lists of folders, can be made again: a program that takes over does so.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "libssi/base/clock.h"
#include "ssi/view/serve.h"
#include "ssi/view/serve-state.h"
#include "ssi/view/told.h"
#include "ssi/view/view.h"

/* What is open: a text that does not change under its reader until that begins anew, or a list. */
struct open_file { struct ssi_buf text; struct view_list list; bool used, made; };
#define OPEN_MAX_HERE 4096u          /* a list of all processes is some MiB, and is root's: no limit of the user's counts it */
#define LOOK_MS 50                   /* while somebody asks: what he has read is another with a new table */
#define QUIET_MS 2000                /* nobody asks: a second is as long as the kernel keeps any process's name without asking again */
struct server;
struct mounted { struct server *s; struct fuse_session *se; enum view_kind root; };
struct server {
	struct view view;
	struct serve_state state;
	struct open_file **open;
	uint32_t n_open;
	struct mounted fs[SERVE_FS];
	struct told told;
};

static volatile sig_atomic_t reload;

static void on_hangup(int sig)
{
	reload = 1;
	alarm(1);
}

/* --- open files, by epoch and place: the kernel may name one that a program before this one opened --- */
static struct open_file *find_open(const struct server *s, uint64_t fh)
{
	uint32_t i = (uint32_t)fh;

	return fh >> 32 == s->state.epoch && i < s->n_open && s->open[i] && s->open[i]->used ? s->open[i] : NULL;
}

static int new_open(struct server *s, uint64_t *ret)
{
	struct open_file **all;
	uint32_t i;

	for (i = 0; i < s->n_open && s->open[i]->used; i++)
		;
	if (i == OPEN_MAX_HERE)
		return -ENFILE;
	if (i == s->n_open) {
		all = reallocarray(s->open, i + 1, sizeof(struct open_file *));
		if (!all)
			return -ENOMEM;
		s->open = all;
		all[i] = calloc(1, sizeof(**all));
		if (!all[i])
			return -ENOMEM;
		s->n_open++;
	}
	s->open[i]->used = true;
	*ret = (uint64_t)s->state.epoch << 32 | i;
	return 0;
}

static void close_open(struct open_file *f)
{
	if (!f)
		return;
	ssi_buf_free(&f->text);
	free(f->list.e);
	*f = (struct open_file){ 0 };
}

static struct server *server(fuse_req_t req)
{
	return ((struct mounted *)fuse_req_userdata(req))->s;
}

static void look(struct server *s)
{
	snapshot_refresh(&s->view.snap);
	told_look(&s->told, s->fs[0].se, &s->view);
}

static struct view *begin(fuse_req_t req, struct view_caller *c)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);
	struct server *s = server(req);

	*c = (struct view_caller){ ctx->uid, ctx->pid };
	look(s);
	local_look(&s->view);
	return &s->view;
}

/* The place that a number of the kernel's means: 1 is the root, of this file system or of that. */
static struct vnode place(fuse_req_t req, fuse_ino_t ino)
{
	const struct mounted *m = fuse_req_userdata(req);

	return ino == FUSE_ROOT_ID ? (struct vnode){ .kind = m->root } : view_vnode(ino);
}

/* --- names and attributes --- */
static int attr(struct server *s, const struct vnode *v, struct stat *st)
{
	int r = view_attr(&s->view, v, st);

	if (r == 0)
		told_attr(&s->told, &s->view, v, st);
	return r;
}

static int entry(struct server *s, const struct vnode *v, struct fuse_entry_param *e)
{
	*e = (struct fuse_entry_param){ .ino = view_ino(v), .entry_timeout = view_seconds(&s->view, v), .attr_timeout = view_attr_seconds(&s->view, v) };
	return attr(s, v, &e->attr);
}

static void do_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct view_caller c;
	struct view *w = begin(req, &c);
	struct vnode v = place(req, parent), to;
	const struct view_ops *o = view_ops(&v);
	struct fuse_entry_param e;
	int r = o->lookup ? o->lookup(w, &c, &v, name, &to) : -ENOTDIR;

	if (r == 0)
		r = entry(server(req), &to, &e);
	/* That a remote process has no such file is told once. */
	if (r == -ENOENT && v.kind == VIEW_RPID && snapshot_process(&w->snap, v.a)) {
		e = (struct fuse_entry_param){ .entry_timeout = 60 };
		r = 0;
	}
	if (r < 0)
		fuse_reply_err(req, -r);
	else
		fuse_reply_entry(req, &e);
}

static void do_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct view_caller c;
	struct view *w = begin(req, &c);
	struct vnode v = place(req, ino);
	struct stat st;
	int r = attr(server(req), &v, &st);

	if (r < 0)
		fuse_reply_err(req, -r);
	else
		fuse_reply_attr(req, &st, view_attr_seconds(w, &v));
}

static void do_readlink(fuse_req_t req, fuse_ino_t ino)
{
	char buf[4096];
	struct view_caller c;
	struct view *w = begin(req, &c);
	struct vnode v = place(req, ino);
	const struct view_ops *o = view_ops(&v);
	int r = o->link ? o->link(w, &c, &v, buf, sizeof(buf)) : -EINVAL;

	if (r < 0)
		fuse_reply_err(req, -r);
	else
		fuse_reply_readlink(req, buf);
}

static void do_forget(fuse_req_t req, fuse_ino_t ino, uint64_t n)
{
	struct vnode v = place(req, ino);

	told_forget(&server(req)->told, &v);
	fuse_reply_none(req);
}

/* --- files --- */
/* The answer that there is no open is the last time that the kernel asks. */
static void do_open_none(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	fuse_reply_err(req, ENOSYS);
}

static void do_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct vnode v = place(req, ino);
	int r = !view_ops(&v)->text ? -EINVAL : new_open(server(req), &fi->fh);

	fi->noflush = 1;
	fi->direct_io = 1;
	if (r < 0)
		fuse_reply_err(req, -r);
	else if (fuse_reply_open(req, fi) == -ENOENT)
		close_open(find_open(server(req), fi->fh));
}

static void do_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	struct view_caller c;
	struct view *w = begin(req, &c);
	struct vnode v = place(req, ino);
	const struct view_ops *o = view_ops(&v);
	struct open_file one = { 0 }, *f = find_open(server(req), fi->fh);
	int r = 0;

	f = f ? f : &one;
	if (off == 0 || !f->made) {
		ssi_buf_free(&f->text);
		f->text = (struct ssi_buf)SSI_BUF_INIT;
		r = o->text ? o->text(w, &c, &v, &f->text) : -EINVAL;
		f->made = true;
	}
	if (r < 0)
		fuse_reply_err(req, -r);
	else if ((size_t)off >= f->text.len)
		fuse_reply_buf(req, NULL, 0);
	else
		fuse_reply_buf(req, f->text.data + off, f->text.len - (size_t)off < size ? f->text.len - (size_t)off : size);
	ssi_buf_free(&one.text);
}

static void do_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	close_open(find_open(server(req), fi->fh));
	fuse_reply_err(req, 0);
}

/* --- folders --- */
static int make_list(fuse_req_t req, fuse_ino_t ino, struct open_file *f)
{
	struct view_caller c;
	struct view *w = begin(req, &c);
	struct vnode v = place(req, ino);
	const struct view_ops *o = view_ops(&v);
	int r;

	view_add(&f->list, ".", S_IFDIR, v);
	view_add(&f->list, "..", S_IFDIR, v);
	r = o->list ? o->list(w, &c, &v, &f->list) : -ENOTDIR;
	f->made = true;
	return r < 0 ? r : f->list.err;
}

static void do_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct server *s = server(req);
	int r = new_open(s, &fi->fh);

	if (r == 0)
		r = make_list(req, ino, find_open(s, fi->fh));
	if (r < 0) {
		close_open(find_open(s, fi->fh));
		fuse_reply_err(req, -r);
	} else if (fuse_reply_open(req, fi) == -ENOENT) {
		close_open(find_open(s, fi->fh));
	}
}

/* One entry; with plus all that a lookup of it would say. 0: no room. */
static size_t put(fuse_req_t req, struct server *s, const struct view_entry *en, off_t next, bool plus, char *p, size_t room)
{
	struct fuse_entry_param e = { .attr = { .st_ino = view_ino(&en->v), .st_mode = en->type } };
	size_t n;

	/* What has gone since is told without its attributes. */
	if (plus && en->name[0] != '.' && (!en->type || entry(s, &en->v, &e) < 0))
		e = (struct fuse_entry_param){ .attr = { .st_ino = view_ino(&en->v), .st_mode = en->type } };
	n = plus ? fuse_add_direntry_plus(req, p, room, en->name, &e, next) : fuse_add_direntry(req, p, room, en->name, &e.attr, next);
	return n <= room ? n : 0;
}

static void read_list(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi, bool plus)
{
	struct open_file one = { 0 }, *f = find_open(server(req), fi->fh);
	_cleanup_free_ char *buf = malloc(size);
	size_t used = 0, n;
	int r = buf ? 0 : -ENOMEM;

	f = f ? f : &one;
	if (r == 0 && (!f->made || (off == 0 && f->list.n == 0)))
		r = make_list(req, ino, f);
	for (size_t i = (size_t)off; r == 0 && i < f->list.n; i++, used += n) {
		n = put(req, server(req), &f->list.e[i], (off_t)i + 1, plus, buf + used, size - used);
		if (!n)
			break;
	}
	if (r < 0)
		fuse_reply_err(req, -r);
	else
		fuse_reply_buf(req, buf, used);
	free(one.list.e);
}

static void do_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	read_list(req, ino, size, off, fi, false);
}

static void do_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	read_list(req, ino, size, off, fi, true);
}

static void do_init(void *userdata, struct fuse_conn_info *conn)
{
	conn->want &= ~(unsigned)FUSE_CAP_READDIRPLUS_AUTO;      /* whoever lists /proc looks at each process next */
	conn->max_readahead = 0;
}

#define OPS .init = do_init, .lookup = do_lookup, .forget = do_forget, .getattr = do_getattr, .readlink = do_readlink, .read = do_read, \
	.release = do_release, .opendir = do_opendir, .readdir = do_readdir, .readdirplus = do_readdirplus, .releasedir = do_release
static const struct fuse_lowlevel_ops ops[SERVE_FS] = { { OPS, .open = do_open_none }, { OPS, .open = do_open } };
static const enum view_kind roots[SERVE_FS] = { VIEW_ROOT, VIEW_SSI };

/* Go on as another program. Only comes back if there is none. */
static void execute_anew(struct server *s, int fuse, const char *dir, const char *self)
{
	char fuse_text[16], state_text[16];
	int fd = serve_state_write(&s->state, &s->view);

	reload = 0;
	alarm(0);
	if (fd < 0)
		return;
	snprintf(fuse_text, sizeof(fuse_text), "%d", fuse);
	snprintf(state_text, sizeof(state_text), "%d", fd);
	for (int i = 0; i < SERVE_FS; i++)
		fcntl(fuse + i, F_SETFD, 0);
	execl(self, "ssi-view", "--serve", fuse_text, "--state", state_text, "--view", dir, (char *)NULL);
	for (int i = 0; i < SERVE_FS; i++)
		fcntl(fuse + i, F_SETFD, FD_CLOEXEC);
	close(fd);
}

/* One message; the first is how kernel and program greet, and is kept for the next program. 0: it is unmounted. */
static int answer(struct server *s, int i, struct fuse_buf *buf)
{
	struct fuse_session *se = s->fs[i].se;
	struct ssi_buf *init = &s->state.init[i];
	int r = fuse_session_receive_buf(se, buf);

	if (r == -EINTR || r == -EAGAIN)
		return 1;
	if (r <= 0)
		return r == -ENODEV ? 0 : r;
	if (!init->len)
		ssi_buf_add(init, buf->mem, (size_t)r);
	fuse_session_process_buf(se, buf);
	return fuse_session_exited(se) ? 0 : 1;
}

/* A signal that comes just before the poll would wait for the next request: it is sent again. It ends with /proc; who unmounts /proc/ssi alone loses that. */
static int loop(struct server *s, int fuse, const char *dir, const char *self)
{
	struct pollfd p[SERVE_FS] = { { .fd = fuse, .events = POLLIN }, { .fd = fuse + 1, .events = POLLIN } };
	uint64_t asked = ssi_clock_mono_ms();
	struct fuse_buf buf = { 0 };
	int r = 1, n;

	while (r > 0) {
		if (reload)
			execute_anew(s, fuse, dir, self);
		n = poll(p, SERVE_FS, ssi_clock_mono_ms() - asked < QUIET_MS ? LOOK_MS : -1);
		if (n == 0)
			look(s);
		else if (n > 0)
			asked = ssi_clock_mono_ms();
		for (int i = SERVE_FS - 1; i >= 0 && r > 0 && n > 0; i--) {
			r = p[i].revents ? answer(s, i, &buf) : 1;
			if (r == 0 && i > 0)
				p[i].fd = -1, r = 1;
		}
	}
	free(buf.mem);
	return r;
}

/* Greet as the program before this one did: the kernel does so once only, and drops the answer. */
static void greet_again(struct server *s, int i)
{
	struct fuse_buf buf = { .mem = s->state.init[i].data, .size = s->state.init[i].len };

	if (buf.size)
		fuse_session_process_buf(s->fs[i].se, &buf);
}

static int open_session(struct server *s, int i, int fuse)
{
	char *argv[] = { (char *)"ssi-view", NULL }, at[24];
	struct fuse_args args = FUSE_ARGS_INIT(1, argv);

	s->fs[i] = (struct mounted){ s, fuse_session_new(&args, &ops[i], sizeof(ops[i]), &s->fs[i]), roots[i] };
	if (!s->fs[i].se)
		return -ENOMEM;
	snprintf(at, sizeof(at), "/dev/fd/%d", fuse);
	if (fuse_session_mount(s->fs[i].se, at) != 0)
		return -EBADF;
	return fcntl(fuse, F_SETFL, O_NONBLOCK) < 0 ? -errno : 0;
}

static void close_all(struct server *s)
{
	for (uint32_t i = 0; i < s->n_open; i++) {
		close_open(s->open[i]);
		free(s->open[i]);
	}
	free(s->open);
	told_close(&s->told);
	for (int i = 0; i < SERVE_FS; i++) {
		ssi_buf_free(&s->state.init[i]);
		if (s->fs[i].se)
			fuse_session_destroy(s->fs[i].se);
	}
	view_close(&s->view);
}

int serve(int fuse, int state, const char *dir, const char *self, struct ssi_err *e)
{
	struct server s = { 0 };
	struct sigaction hangup = { .sa_handler = on_hangup };
	int r = view_open(&s.view, dir);

	if (r == 0)
		r = told_open(&s.told);
	if (r == 0 && state >= 0)
		r = serve_state_read(state, &s.state, &s.view);
	for (int i = 0; r == 0 && i < SERVE_FS; i++)
		r = open_session(&s, i, fuse + i);
	snapshot_refresh(&s.view.snap);
	if (r == 0) {
		sigaction(SIGHUP, &hangup, NULL);
		sigaction(SIGALRM, &hangup, NULL);
		for (int i = 0; i < SERVE_FS; i++)
			greet_again(&s, i);
		if (state >= 0)
			told_anew(s.fs[0].se, &s.view);
		r = loop(&s, fuse, dir, self);
	}
	close_all(&s);
	return r < 0 ? ssi_errno(e, r, "the merged /proc") : 0;
}
