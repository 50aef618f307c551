"""XLSForm (https://xlsform.org): forms of ODK and its relatives as workbooks, read and written."""
