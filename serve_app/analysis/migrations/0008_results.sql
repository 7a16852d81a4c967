-- Results are listed by their index, and most of the runs of an installation may be failed ones.
create index analysis_runs_results on analysis_runs (tenant_id, index_type, created_at desc, id desc)
where status = 'completed';
