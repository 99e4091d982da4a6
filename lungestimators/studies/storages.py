"""Storages of studies: memory, a journal file, a database, or any storage of Optuna."""

import os
import re
import time

from .._compat import optuna

JOURNAL_BEGINS = b'{"op_code"'
SECONDS_TO_CONNECT = 10
SECONDS_TO_WAIT_FOR_SQLITE = 60


def open_storage(storage):
    """Open the Optuna storage that a path, a URL or None stands for.

    Parameters
    ----------
    storage : None, str, path-like or optuna.storages.BaseStorage
        None: in memory. A URL: a database. Another path: a journal file. A storage is returned as
        it is.

    Returns
    -------
    optuna.storages.BaseStorage

    Raises
    ------
    ConnectionError
        The database cannot be reached.
    OSError
        The journal file cannot be opened.
    ValueError
        The file is no journal, or SQLAlchemy does not know the URL.
    TypeError
        ``storage`` is none of these.
    ImportError
        The driver of the database is not installed.
    """
    if storage is None:
        return optuna.storages.InMemoryStorage()
    if isinstance(storage, optuna.storages.BaseStorage):
        return storage
    if isinstance(storage, str) and "://" in storage:
        return _open_database(storage)
    if isinstance(storage, (str, os.PathLike)):
        return _open_journal(os.fspath(storage))
    raise TypeError(
        "storage is None, a path, a URL such as 'sqlite:///study.db', or an Optuna storage; "
        f"got {storage!r}"
    )


def _open_journal(path):
    """Open a journal file with a lock that ends with the process that holds it."""
    # The system's lock needs POSIX; elsewhere Optuna's lock file is broken after 30 seconds.
    lock = (
        _JournalLock(path)
        if os.name == "posix"
        else optuna.storages.journal.JournalFileOpenLock(path)
    )
    backend = optuna.storages.journal.JournalFileBackend(path, lock_obj=lock)
    with open(path, "rb") as file:
        head = file.read(len(JOURNAL_BEGINS))
    if not JOURNAL_BEGINS.startswith(head):
        raise ValueError(
            f"{path!r} is not a journal of Optuna; a SQLite file is named 'sqlite:///{path}'"
        )
    try:
        return optuna.storages.JournalStorage(backend)
    except ValueError as error:
        raise ValueError(f"the journal {path!r} is damaged: {error}") from error


class _JournalLock:
    """The operating system's lock on the journal file itself.

    Optuna's own locks are files: a killed process leaves its file, which stops all other processes
    for 30 seconds.
    """

    def __init__(self, path):
        self._path = path

    def acquire(self):
        """Wait for the lock, then cut off half a line that a dead process has left."""
        import fcntl

        self._file = open(self._path, "r+b")  # noqa: SIM115 (closed by release)
        fcntl.flock(self._file, fcntl.LOCK_EX)
        _cut_half_line_of_journal(self._file)
        return True

    def release(self):
        """Release the lock for the next process."""
        self._file.close()
        del self._file  # an open file cannot be pickled


def _cut_half_line_of_journal(file):
    """Cut off a last line without a line end: the next record would be joined to it and lost."""
    if file.seek(0, os.SEEK_END) == 0:
        return
    file.seek(-1, os.SEEK_END)
    if file.read(1) != b"\n":
        file.seek(0)
        file.truncate(file.read().rfind(b"\n") + 1)


def storage_without_password(url):
    """Return the URL of a database for messages, without its password and its options."""
    return re.sub(r"\?.*", "", re.sub(r"(://[^:]*):.*@", r"\1:***@", url))


def _open_database(url):
    """Open a database; on SQLite, too, only one transaction at a time."""
    import sqlalchemy
    from sqlalchemy import exc

    shown = storage_without_password(url)
    try:
        parsed = sqlalchemy.make_url(url)
        if "@" in (parsed.host or ""):  # the driver would show the text after it
            raise ValueError(f"storage {shown!r}: write an '@' in a password as '%40'")
        dialect = parsed.get_backend_name()
        options = {"connect_args": _connection_options(dialect), "pool_pre_ping": True}
        engine = sqlalchemy.create_engine(url, **options)
    except exc.ArgumentError as error:
        raise ValueError(f"storage {shown!r} is not a URL that SQLAlchemy knows: {error}") from None
    except ImportError as error:
        raise ImportError(
            f"storage {shown!r} needs a driver that is not installed ({error}); for PostgreSQL: "
            "pip install 'lungestimators[postgresql]' and a URL 'postgresql+psycopg://...'"
        ) from error
    if dialect == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise ValueError(f"storage {shown!r} keeps nothing: storage=None is in memory")
    try:
        engine.connect().close()
    except exc.SQLAlchemyError as error:
        reason = str(getattr(error, "orig", error)).strip()
        raise ConnectionError(f"storage {shown!r} cannot be reached: {reason}") from error
    finally:
        engine.dispose()
    storage = _create_database_storage(url, options)
    if dialect == "sqlite":
        _lock_sqlite_transactions(storage.engine)
    return storage


def _connection_options(dialect):
    """Return options of the driver: the seconds that it waits for the database."""
    if dialect == "sqlite":
        return {"timeout": SECONDS_TO_WAIT_FOR_SQLITE}
    return {"connect_timeout": SECONDS_TO_CONNECT} if dialect in ("postgresql", "mysql") else {}


def _create_database_storage(url, options):
    """Create Optuna's storage and its tables; retry if other processes create them now."""
    from sqlalchemy.exc import SQLAlchemyError

    for _ in range(5):
        try:
            return optuna.storages.RDBStorage(url, engine_kwargs=dict(options))
        except SQLAlchemyError:
            time.sleep(0.5)
    return optuna.storages.RDBStorage(url, engine_kwargs=dict(options))


def _lock_sqlite_transactions(engine):
    """Begin every transaction of SQLite with the lock for writing.

    On other databases Optuna uses SELECT ... FOR UPDATE, so that only one process takes a trial or
    ends it. SQLite has no such statement.
    """
    from sqlalchemy import event

    @event.listens_for(engine, "connect")
    def _leave_transactions_to_us(connection, _):
        connection.isolation_level = None

    @event.listens_for(engine, "begin")
    def _lock(connection):
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    engine.dispose()
