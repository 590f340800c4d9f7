SELECT business_date FROM calendar
