-- The trace that a message belongs to, as W3C Trace Context writes it: it is handed over later, and perhaps by another process.
alter table notification add column traceparent text, add column tracestate text;
