SELECT partition, max(next_offset), max(next_seq)
FROM sink_marks
WHERE topic = {topic:String}
GROUP BY partition
