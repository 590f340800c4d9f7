SELECT kind, frequency, stream_status, count(), toUInt64(avg(confidence_percent))
FROM income_streams_now FINAL
WHERE tenant_id = {tenant:String}
GROUP BY kind, frequency, stream_status
ORDER BY count() DESC, kind, frequency, stream_status
